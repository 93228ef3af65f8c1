"""How far the parts of a network have left their start."""

import copy

import pytest
import torch

from deblurlib.analysis.adequacy import moved
from deblurlib.models import create_model

PICTURE = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))


def network(name, variant="paper"):
    torch.manual_seed(0)
    return create_model(name, variant, size="small").eval()


@pytest.mark.parametrize(
    "name, variant, parts",
    [
        ("svrnn", "paper", {"p"}),
        ("svrnn", "no_rnns", set()),
        ("svdn", "fd_og", {"offsets"}),
        ("svdn", "base", set()),
        ("radn", "final", {"offsets", "attention"}),
        ("radn", "radn4", {"attention"}),
        ("radn_baseline", "deform6_sa", {"offsets", "attention"}),
        ("aspdc", "v12", {"offsets", "attention"}),
    ],
)
def test_each_network_has_the_parts_that_its_paper_speaks_of(name, variant, parts):
    start = network(name, variant)
    assert moved(start, copy.deepcopy(start), [PICTURE]) == dict.fromkeys(parts, 0.0)


def test_offsets_move_by_their_length_in_pixels():
    start, trained = network("svdn", "fd_og"), network("svdn", "fd_og")
    for layer in (trained.neck.ow1, trained.neck.ow2[-1]):
        layer.weight.data[:50] = 0  # 25 pairs (dy, dx), the same at every place
        layer.bias.data[:50] = torch.tensor([0.3, 0.4]).repeat(25)
    assert moved(trained, start, [PICTURE])["offsets"] == pytest.approx(0.5, abs=1e-6)


def test_points_that_are_fixed_to_the_grid_do_not_count():
    rigid = network("svdn", "fd_rigid")
    assert moved(rigid, network("svdn", "fd_rigid"), [PICTURE]) == {"offsets": 0.0}
    start, trained = network("aspdc", "v2"), network("aspdc", "v2")  # one branch of two is fixed
    for module in trained.body:
        module.branches[1].offset.bias.data[:] = 2.0
    some = moved(trained, start, [PICTURE])["offsets"]
    assert some == pytest.approx(8**0.5, rel=1e-5)


def test_recurrent_weights_move_by_their_difference():
    start, trained = network("svrnn"), network("svrnn")
    conv = trained.weight_network.conv16
    conv.weight.data.zero_()
    conv.bias.data.fill_(0.5)
    p = start.extras(PICTURE)["p"]
    wanted = (torch.tensor(0.5).tanh() - p).abs().mean().item()
    assert moved(trained, start, [PICTURE])["p"] == pytest.approx(wanted, rel=1e-5)


def test_attention_moves_by_the_share_that_has_changed_its_place():
    start, trained = network("aspdc"), network("aspdc")
    a, b = start.extras(PICTURE)["attention"], None
    for module in trained.body:
        conv = next(m for m in reversed(list(module.afim.modules())) if hasattr(m, "bias"))
        conv.weight.data.zero_()
        conv.bias.data = torch.tensor([0.0, 0, 0, 50])  # all to the last branch
    b = trained.extras(PICTURE)["attention"]
    wanted = (a - b).abs().sum(2).mean().item() / 2
    found = moved(trained, start, [PICTURE])["attention"]
    assert found == pytest.approx(wanted, rel=1e-5) and 0.4 < found < 1


def test_it_is_the_mean_over_pictures():
    start, trained = network("svrnn"), network("svrnn")
    trained.weight_network.conv16.bias.data += 0.2
    one, other = PICTURE, 1 - PICTURE
    alone = [moved(trained, start, [picture])["p"] for picture in (one, other)]
    assert moved(trained, start, [one, other])["p"] == pytest.approx(sum(alone) / 2)
    with pytest.raises(ValueError, match="give at least one"):
        moved(trained, start, [])
