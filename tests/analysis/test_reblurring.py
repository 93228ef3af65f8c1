"""The probes of reblurring networks, against networks that copy or reblur by construction."""

import pytest
import torch

from deblurlib.analysis.reblurring import filter_radius, gradient_ratio, identity_probes, mean_psnr


def test_filter_radius_adds_variances_at_their_scale():
    """Thirds along a row at full and at half resolution: variances 2/3 and 4 * 2/3; a shift has
    none."""
    row, shift = torch.tensor([0, 0, 0, 1, 1, 1, 0, 0, 0.0]) / 3, torch.eye(9)[2]
    maps = [
        taps.view(1, 9, 1, 1).expand(1, 9, size, size)
        for taps, size in ((row, 8), (row, 4), (shift, 2))
    ]
    assert torch.allclose(filter_radius(maps), torch.full((1, 8, 8), (2 / 3 * 5) ** 0.5))
    assert filter_radius(maps[2:]).max() == 0


class Copy(torch.nn.Module):
    def forward(self, blurry, sharp):
        return blurry + 0.01 * sharp


class Use(torch.nn.Module):
    def forward(self, blurry, sharp):
        return sharp + 0.02 * blurry


def test_probes_tell_copying_from_reblurring():
    torch.manual_seed(0)
    sharp = torch.rand(3, 3, 16, 16)
    blurry = (sharp + 0.05 * torch.randn_like(sharp)).clamp(0, 1)
    copy, use = identity_probes(Copy(), blurry, sharp), identity_probes(Use(), blurry, sharp)
    assert copy["other_blurry"] > 35 and copy["grey"] > 35 and copy["other_sharp"] < 12
    assert use["other_blurry"] < 12 and use["grey"] < 12 and use["other_sharp"] > 35
    assert (
        copy["baseline"] == use["baseline"] == pytest.approx(mean_psnr(sharp, blurry))
        and 25 < use["baseline"] < 28
    )
    assert copy["reblurred"] > 35 and 25 < use["reblurred"] < 28 and use["no_blur"] > 35
    assert copy["leak"] == pytest.approx(1) and use["leak"] == pytest.approx(
        1
    )  # 0.02 of the blurry picture are a leak, too
    assert identity_probes(lambda b, s: s + 0.1 * torch.rand_like(b), blurry, sharp)["leak"] < 0.2
    assert copy["reblurred"] - copy["unaided"] > 8 and abs(use["reblurred"] - use["unaided"]) < 1
    assert gradient_ratio(Copy(), blurry, sharp) == pytest.approx(0.01) and gradient_ratio(
        Use(), blurry, sharp
    ) == pytest.approx(50)
    with pytest.raises(ValueError, match="at least two pairs"):
        identity_probes(Copy(), blurry[:1], sharp[:1])


def test_psnr_is_the_mean_of_each_pictures():
    reference = torch.zeros(2, 3, 4, 4)
    picture = torch.stack([torch.full((3, 4, 4), 0.1), torch.full((3, 4, 4), 0.01)])
    assert mean_psnr(picture, reference) == pytest.approx(30, abs=1e-3)
