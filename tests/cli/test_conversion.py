"""make-pairs and export on the command line."""

import json

import pytest
from typer.testing import CliRunner

from deblurlib.cli.app import app
from tests.films import scene, write_film


def call(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_make_pairs_reports_each_film_and_continues(tmp_path):
    pytest.importorskip("av")
    write_film(tmp_path / "ride.mp4", scene(30, (96, 128)))
    (tmp_path / "bad.mp4").write_bytes(b"no film")
    arguments = ("make-pairs", tmp_path, "-o", tmp_path / "out", "--frames", "7")
    done = call(*arguments, "--json")
    report = json.loads(done.stdout)
    assert done.exit_code == 1 and [film["pairs"] for film in report["films"]] == [0, 4]
    assert "bad.mp4 cannot be read" in done.stderr
    again = call("make-pairs", tmp_path / "ride.mp4", "-o", tmp_path / "out", "--frames", "7")
    assert again.exit_code == 0 and again.stdout == f"4 pairs in {tmp_path / 'out'}.\n"
    assert call("check-data", tmp_path / "out").exit_code == 0


def test_make_pairs_says_when_averages_show_copies(tmp_path):
    pytest.importorskip("av")
    write_film(tmp_path / "ride.mp4", scene(14, (96, 128), shift=9))
    shown = call("make-pairs", tmp_path / "ride.mp4", "-o", tmp_path / "out", "--frames", "7")
    assert shown.exit_code == 0 and "record it at a higher rate" in shown.stderr


def test_make_pairs_names_a_wrong_range(tmp_path):
    shown = call("make-pairs", tmp_path, "-o", tmp_path / "out", "--frames", "7-13")
    assert shown.exit_code == 2 and "'7-13': give a number or a range" in shown.stderr


def test_export_writes_a_file_and_keeps_an_existing_one(tmp_path):
    pytest.importorskip("onnx")
    path = tmp_path / "svdn.onnx"
    shown = call("export", "svdn", path, "--size", "32x48", "--native")
    assert shown.exit_code == 0 and path.stat().st_size > 1e6, shown.output
    again = call("export", "svdn", path)
    assert again.exit_code == 2 and "--overwrite" in again.stderr


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (("svdn", "a.txt"), "does not end in .onnx"),
        (("svdn", "a.onnx", "--size", "32"), "give HEIGHTxWIDTH"),
        (("svrnn", "a.onnx"), "cannot be written as ONNX"),
    ],
)
def test_export_names_what_cannot_be(tmp_path, arguments, sentence):
    name, file, *rest = arguments
    shown = call("export", name, tmp_path / file, *rest)
    assert shown.exit_code == 2 and sentence in shown.stderr
    assert not list(tmp_path.iterdir())
