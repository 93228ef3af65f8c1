"""The benchmark's bookkeeping; no test depends on a speed."""

import math

import pytest
import torch

from deblurlib.bench import clock, operators


def test_a_quick_run_writes_the_table_and_the_figure(tmp_path):
    table = operators.run(tmp_path, quick=True, repeats=1)
    assert (tmp_path / "tables/operators.csv").exists() and (
        tmp_path / "figures/operators.png"
    ).stat().st_size > 1000
    assert set(table.operator) == {
        "deform_conv2d",
        "spatial_rnn",
        "spatial_rnn_4way",
        "dynamic_filter",
        "svdn training step",
    }
    assert {
        "torchvision",
        "conv2d",
        "unbind loop",
        "column loop",
        "unfold+einsum",
        "copy",
        "no operator",
    } <= set(table.contestant)
    assert table[table.contestant == "deblurlib (auto)"].ratio.eq(1).all()
    assert table.median_ms.gt(0).all()


@pytest.mark.parametrize(
    "case",
    list(operators.cases(True, ("torch", "cpp"), "cpu")),
    ids=lambda case: f"{case.operator} {case.phase}",
)
def test_contestants_of_a_case_compute_the_same(case):
    other = {"conv2d", "torch.add(out=)", "copy", "no operator"}
    results = {name: call() for name, call in case.contestants.items() if name not in other}
    first = next(iter(results.values()))
    for found in results.values():
        pairs = zip(first, found, strict=True) if isinstance(first, tuple) else [(first, found)]
        assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-3) for a, b in pairs)


def test_extra_memory_sees_a_large_allocation():
    megabytes = clock.extra_memory(lambda: torch.ones(10_000_000), "cpu")
    assert math.isnan(megabytes) or 38 < megabytes < 60
