"""The benchmark of networks: its bookkeeping, and that both builds compute the same."""

import json
from concurrent.futures import Future

import numpy as np
import pandas as pd
import pytest
import torch

from deblurlib import ops, papers
from deblurlib.bench import contestants, networks
from deblurlib.bench.contestants import Contestant, prepare, timed_networks, timed_operators
from deblurlib.bench.networks import Outcome
from deblurlib.ops.backends.dispatch import resolve
from deblurlib.results import ROOT, read_table

TINY = (32, 48)
SVRNN = Contestant(model="svrnn", variant="paper", width="small")
SHIPPED = ROOT / "results" / "tables" / "inference.csv"
FIGURES = {"seconds": 0.1, "in_operator": 0.5, "extra_mb": 1.0}
# full networks have the operators of small ones, but SVDN is timed in full width alone
BUILDS = [
    each
    for each in timed_networks()
    if each.precision == "fp32" and (each.width == "small" or each.model == "svdn")
]


@pytest.mark.parametrize("contestant", BUILDS, ids=lambda each: each.model)
def test_the_plain_build_computes_the_same_in_the_operator_of_its_paper(contestant):
    entrant = prepare(contestant, TINY)
    outputs, seconds = [], []
    for plain in (False, True):
        with torch.inference_mode(), timed_operators(plain=plain) as spent:
            outputs.append(entrant.network(*entrant.images))
        seconds.append(spent)
    torch.testing.assert_close(*outputs, rtol=0, atol=1e-4)
    operator = "dynamic_filter" if contestant.model == "reblur" else "spatial_rnn"
    if resolve(operator, entrant.images[0]) == "cpp":
        assert not torch.equal(*outputs)  # two implementations, not one twice
    assert len(seconds[0]) == len(seconds[1]) > 0 and min(map(min, seconds)) > 0


def test_every_paper_is_timed_and_the_default_network_first():
    timed = timed_networks()
    assert timed[0].model == contestants.DEFAULT
    assert {each.model for each in timed} >= {"svrnn", "svdn", "radn", "aspdc", "reblur"}
    widths = [each.width for each in timed if each.model != contestants.DEFAULT]
    assert widths == sorted(widths, reverse=True)  # small before full
    assert not any(each.plain for each in timed)


def test_operators_are_timed_within_the_block_alone():
    x, p = torch.rand(1, 2, 4, 4), torch.rand(1, 2, 4, 4)
    with timed_operators(plain=True) as spent:
        ops.spatial_rnn(x, p, "right")
        assert len(spent) == 1
    ops.spatial_rnn(x, p, "right")
    assert len(spent) == 1


def test_a_run_writes_a_table_that_says_what_it_holds(tmp_path, capsys):
    networks.run(tmp_path, TINY, repeats=2, networks=[SVRNN])
    table = read_table(tmp_path / "tables" / "inference.csv")
    assert table.contestant.tolist() == ["deblurlib", "plain"]
    assert table["size"].eq("32x48").all() and table.runs.eq(2).all()
    if SHIPPED.exists():
        assert list(table.columns) == list(read_table(SHIPPED).columns)
    ours, plain = (row for _, row in table.iterrows())
    assert ours.ratio == 1
    assert plain.ratio == pytest.approx(plain.median_ms / ours.median_ms, rel=1e-4)
    for row in (ours, plain):
        assert 0 < row.min_ms <= row.median_ms <= row.max_ms and 0 < row.in_operator < 1
    assert 0 <= ours.difference < 1e-4
    assert ours.floor_ms == pytest.approx(2 * 1e3 * ours.gmac / ours.gemm_gflops, rel=1e-4)
    origin = json.loads((tmp_path / "tables" / "inference.csv.origin.json").read_text())
    assert origin["source"] == "measured on this machine"
    assert origin["threads"] == torch.get_num_threads()
    assert origin["data"] == "one picture of 48 x 32" and "git_commit" in origin
    assert "svrnn small fp32" in capsys.readouterr().out


class InThisProcess:
    """An executor that works here, in a tenth of the time that a process needs to start."""

    def __init__(self, workers, context, enter, arguments):
        self.enter, self.arguments = enter, arguments

    def submit(self, function, *arguments):
        self.enter(*self.arguments)
        future = Future()
        try:
            future.set_result(function(*arguments))
        except MemoryError as error:
            future.set_exception(error)
        return future

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def test_a_contestant_that_fails_leaves_a_note_and_the_other_its_row(tmp_path, monkeypatch):
    def forward(entrant, *, memory, forward=networks.forward):
        if entrant.contestant.plain:
            raise MemoryError("no more")
        return forward(entrant, memory=memory)

    monkeypatch.setattr(networks, "ProcessPoolExecutor", InThisProcess)
    monkeypatch.setattr(networks, "forward", forward)
    table = networks.run(tmp_path, TINY, repeats=1, networks=[SVRNN])
    ours, plain = (row for _, row in table.iterrows())
    assert plain.note == "MemoryError: no more" and plain.runs == 0 and pd.isna(plain.median_ms)
    assert ours.note == "" and ours.runs == 1 and pd.isna(ours.difference)


def test_two_builds_that_differ_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(networks, "ProcessPoolExecutor", InThisProcess)
    monkeypatch.setattr(networks, "TOLERANCE", -1)
    with pytest.raises(RuntimeError, match="The plain build of svrnn computes a different image"):
        networks.run(tmp_path, TINY, repeats=1, networks=[SVRNN])


@pytest.mark.parametrize("seconds, runs", [(0.1, 7), (6.0, 3), (61.0, 0)])
def test_slow_networks_run_less_often(seconds, runs):
    found = [FIGURES | {"seconds": seconds}]
    again = [turn for turn in range(1, 8) if networks._again(found, turn, 7)]
    assert len(again) == runs


def test_the_first_run_counts_if_it_is_the_only_one():
    first, other = (FIGURES | {"seconds": seconds} for seconds in (61.0, 1.0))
    alone = networks._row(SVRNN, Outcome(runs=[first]), TINY)
    assert (alone["runs"], alone["median_ms"]) == (1, 61_000)
    more = networks._row(SVRNN, Outcome(runs=[first, other, other]), TINY)
    assert (more["runs"], more["median_ms"]) == (2, 1000)


@pytest.mark.parametrize(
    "width, size, printed",
    [("full", networks.SIZE, 1400.0), ("full", TINY, None), ("small", networks.SIZE, None)],
)
def test_printed_times_stand_beside_full_networks_on_the_papers_image_alone(
    width, size, printed, monkeypatch
):
    def race(both, size, repeats):
        return {each: Outcome(np.ones(1), [FIGURES]) for each in both}, 1e9

    monkeypatch.setattr(networks, "_race", race)
    monkeypatch.setattr(networks, "count_macs", lambda network, size: 1e9)
    table = networks._measure(Contestant(model="svrnn", variant="paper", width=width), size, 1)
    found = table.printed_ms[0]
    assert pd.isna(found) if printed is None else found == printed
    assert set(papers.runtimes().paper) == {"svrnn", "svdn", "radn", "aspdc"}
