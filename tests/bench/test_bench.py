"""The benchmark of operators: its contestants and its bookkeeping; no test depends on a speed."""

import sys
from collections import Counter
from functools import partial

import pytest
import torch

from deblurlib import ops
from deblurlib.bench import cases, clock, operators, peers
from deblurlib.bench.training import with_deform
from deblurlib.results import ROOT, read_table

SHIPPED = ROOT / "results" / "tables" / "operators.csv"
COMPUTES_ANOTHER_THING = {"conv2d", "torch.add(out=)", "copy", "no operator"}


@pytest.fixture
def shipped():
    if not SHIPPED.exists():
        pytest.skip("an installed package has no tables")
    return read_table(SHIPPED)


def test_a_quick_run_writes_the_table_and_the_figure(tmp_path):
    table = operators.run(tmp_path, quick=True, repeats=1)
    assert (tmp_path / "tables/operators.csv").exists()
    assert (tmp_path / "figures/operators.png").stat().st_size > 1000
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
    if SHIPPED.exists():
        assert list(table.columns) == list(read_table(SHIPPED).columns)


def test_the_full_suite_has_the_shapes_of_the_shipped_table(shipped):
    shapes = shipped.groupby("operator")["shape"].agg(set)
    assert shapes["deform_conv2d"] == set(map(str, operators.FULL.convolutions))
    assert shapes["spatial_rnn"] == set(map(str, operators.FULL.scans))
    assert shapes["spatial_rnn_4way"] == shapes["spatial_rnn"]
    assert shapes["dynamic_filter"] == set(map(str, operators.FULL.filters))
    assert shapes["svdn training step"] == set(map(str, operators.FULL.trainings))


def test_contestants_of_a_case_compute_the_same():
    torch.manual_seed(0)
    compared = 0
    for case in operators.cases(operators.QUICK, ("torch", "cpp"), "cpu"):
        results = {
            name: call()
            for name, call in case.contestants.items()
            if name not in COMPUTES_ANOTHER_THING
        }
        first, *others = results.values()
        for found in others:
            torch.testing.assert_close(found, first, rtol=1e-4, atol=1e-3)
        compared += len(others)
    assert compared >= 9 * 2


@pytest.mark.parametrize("size", [3, 5])
def test_patches_filter_as_our_operator_does(size):
    x, logits = torch.randn(2, 3, 9, 11), torch.randn(2, size**2, 9, 11)
    found, expected = peers.unfold_einsum(x, logits, size), ops.dynamic_filter(x, logits, size)
    torch.testing.assert_close(found, expected)


def test_a_step_without_the_operator_does_not_compute_it():
    def counted(*arguments):
        calls.append(arguments)
        return peers.NoOperator.apply(*arguments)

    calls = []
    x, offset, weight = torch.rand(1, 2, 5, 5), torch.rand(1, 18, 5, 5), torch.rand(2, 2, 3, 3)
    step = with_deform(counted, lambda: ops.deform_conv2d(x, offset, weight, padding=1))
    assert torch.equal(step(), x) and len(calls) == 1
    assert not torch.equal(ops.deform_conv2d(x, offset, weight, padding=1), x)
    assert len(calls) == 1


def test_slow_calls_are_repeated_less_and_long_ones_not_warmed_up(monkeypatch):
    walls, counts = {"ours": 0.1, "slow": 1.0, "long": 20.0}, Counter()

    def call(name):
        counts[name] += 1
        return name

    def seconds(function, device):
        return clock.Seconds(wall=walls[function()], processor=2 * walls[function.args[0]])

    monkeypatch.setattr(cases, "seconds", seconds)
    contestants = {name: partial(call, name) for name in walls}
    rows = list(cases.measure(cases.Case("op", "1x1", "forward", contestants), 7, "cpu"))
    assert [row["contestant"] for row in rows] == list(walls)
    assert [row["runs"] for row in rows] == [7, 3, 3]
    assert [row["ratio"] for row in rows] == pytest.approx([1, 10, 200])
    assert [row["cpu_ratio"] for row in rows] == pytest.approx([1, 10, 200])
    assert [row["median_ms"] for row in rows] == pytest.approx([100, 1000, 20_000])
    # a first call, those that measure memory, and the timed ones with their warm-ups
    assert counts == {"ours": 1 + 3 + 2 * 7, "slow": 1 + 1 + 2 * 3, "long": 1 + 1 + 3}


def test_the_number_of_threads_comes_back_after_an_error():
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), clock.thread_count(before + 1):
        assert torch.get_num_threads() == before + 1
        1 / 0  # noqa: B018 - an error in the block
    assert torch.get_num_threads() == before


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_extra_memory_sees_a_large_allocation():
    assert 38 < clock.extra_memory(lambda: torch.ones(10_000_000), "cpu") < 60


def test_the_rate_of_products_counts_products_and_sums(monkeypatch):
    monkeypatch.setattr(clock, "seconds", lambda function, device: clock.Seconds(0.5, 0.5))
    assert clock.gemm_rate(n=8) == 2 * 8**3 / 0.5
