"""The benchmark of whole networks: its bookkeeping, and that both builds of a network are the same function."""

import json
from concurrent.futures import Future

import pandas as pd
import pytest
import torch

from deblurlib import papers
from deblurlib.bench import networks
from deblurlib.bench.networks import Contestant, operators
from deblurlib.ops.backends.dispatch import resolve

TINY, SVRNN = (32, 48), ("svrnn", "paper", "small", "fp32")


@pytest.mark.parametrize(
    "name, variant, width, precision",
    [each for each in networks.timed_networks() if each[3] == "fp32"],
)
def test_the_plain_build_computes_the_same_in_the_operator_of_its_paper(
    name, variant, width, precision
):
    if width == "full" and name != "svdn":
        pytest.skip("the same operators as in its small width")
    networks._build(Contestant(name, variant, width), TINY)
    _, network, pictures = networks._ready
    outputs, seconds = [], []
    for plain in (False, True):
        with torch.inference_mode(), operators(plain) as spent:
            outputs.append(network(*pictures))
        seconds.append(spent)
    torch.testing.assert_close(*outputs, rtol=0, atol=1e-4)
    if resolve("dynamic_filter" if name == "reblur" else "spatial_rnn", pictures[0]) == "cpp":
        assert not torch.equal(*outputs)  # two implementations, not one twice
    assert len(seconds[0]) == len(seconds[1]) > 0 and min(map(min, seconds)) > 0


def test_the_operators_are_ours_again_afterwards():
    before = [
        getattr(torch.ops.deblurlib, name.removeprefix("_")) for name, _ in networks.PLAIN.values()
    ]
    with operators(True):
        pass
    modules = [networks.sys.modules[f"deblurlib.ops.{module}"] for module in networks.PLAIN]
    assert [
        getattr(m, n) for m, (n, _) in zip(modules, networks.PLAIN.values(), strict=True)
    ] == before


def test_a_run_writes_a_table_that_says_what_it_holds(tmp_path, capsys):
    networks.run(tmp_path, TINY, repeats=2, networks=[SVRNN])
    table = pd.read_csv(tmp_path / "tables" / "inference.csv")
    assert (
        table.contestant.tolist() == ["deblurlib", "plain"]
        and table["size"].eq("32x48").all()
        and table.runs.eq(2).all()
    )
    ours, plain = (row for _, row in table.iterrows())
    assert ours.ratio == 1 and plain.ratio == pytest.approx(
        plain.median_ms / ours.median_ms, rel=1e-4
    )
    for row in (ours, plain):
        assert 0 < row.min_ms <= row.median_ms <= row.max_ms and 0 < row.in_operator < 1
    assert 0 <= ours.difference < 1e-4 and ours.floor_ms == pytest.approx(
        2 * 1e3 * ours.gmac / ours.gemm_gflops, rel=1e-4
    )
    origin = json.loads((tmp_path / "tables" / "inference.json").read_text())
    assert (
        origin["source"] == "measured on this machine"
        and origin["threads"] == torch.get_num_threads()
    )
    assert origin["data"] == "one picture of 48 x 32" and "git_commit" in origin
    assert "svrnn small fp32" in capsys.readouterr().out


class InThisProcess:
    """An executor that takes its turns here, in a tenth of the time that a process needs to start."""

    def __init__(self, workers, context, build, arguments):
        self.build, self.arguments = build, arguments

    def submit(self, function, *arguments):
        self.build(*self.arguments)
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
    def forward(first, forward=networks._forward):
        if networks._ready[0].plain:
            raise MemoryError("no more")
        return forward(first)

    monkeypatch.setattr(networks, "ProcessPoolExecutor", InThisProcess)
    monkeypatch.setattr(networks, "_forward", forward)
    ours, plain = (
        row for _, row in networks.run(tmp_path, TINY, repeats=1, networks=[SVRNN]).iterrows()
    )
    assert plain.note == "MemoryError: no more" and plain.runs == 0 and pd.isna(plain.median_ms)
    assert ours.note == "" and ours.runs == 1 and pd.isna(ours.difference)


def test_two_builds_that_differ_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(networks, "ProcessPoolExecutor", InThisProcess)
    monkeypatch.setattr(networks, "TOLERANCE", -1)
    with pytest.raises(RuntimeError, match="The plain build of svrnn gives another picture"):
        networks.run(tmp_path, TINY, repeats=1, networks=[SVRNN])


@pytest.mark.parametrize("seconds, runs", [(0.1, 7), (6.0, 3), (61.0, 0)])
def test_slow_networks_run_less_often(seconds, runs):
    found = [{"seconds": seconds, "in_operator": 0.5, "extra_mb": 1.0}]
    again = [turn for turn in range(1, 8) if networks._again(found, turn, 7)]
    assert len(again) == runs
    assert (
        networks._row(Contestant(*SVRNN), found, "", TINY)["runs"] == 1
    )  # the first one, if it was the only one


def test_printed_times_stand_beside_full_networks_on_their_picture_alone():
    assert networks._printed("svrnn") == {"printed_ms": 1400.0, "printed_on": "Tesla K80"}
    assert networks._printed("reblur") == {}
    assert set(papers.runtimes().paper) == {"svrnn", "svdn", "radn", "aspdc"}


def test_the_rate_of_products_is_one_that_a_machine_can_have():
    assert 1e8 < networks.gemm_rate(n=256) < 1e15
