"""The command line: quick to start, and errors in one sentence."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from deblurlib.__main__ import app


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_help_lists_the_commands_without_importing_torch():
    shown = subprocess.run([sys.executable, "-m", "deblurlib", "--help"], capture_output=True, text=True, check=True, timeout=60)
    for command in ("reproduce", "refresh", "check-data", "coverage"):
        assert command in shown.stdout
    script = "import sys, deblurlib.__main__; print(sorted({'torch', 'pandas', 'cv2', 'papermill'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["reproduce", "--preset", "huge"], "There is no preset 'huge': choose one of smoke, quick, reference, gpu, paper."),
        (["reproduce", "--data", "no/where"], "The data folder no/where does not exist"),
        (["reproduce", "--notebooks", "99"], "There is no notebook 99"),
        (["reproduce", "--jobs", "-1"], "Invalid value for '--jobs'"),
    ],
)
def test_wrong_input_is_one_sentence_on_stderr_and_exit_code_2(arguments, sentence, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    result = call(*arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr and "Traceback" not in result.stderr and result.stdout == ""


def test_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setenv("DEBLURLIB_DEBUG", "1")
    assert isinstance(call("reproduce", "--preset", "huge").exception, ValueError)


@pytest.mark.parametrize(
    "error, code, sentence",
    [
        (OSError(28, "No space left on device"), 1, "No space left on device"),
        (ValueError("two\nlines"), 2, "two lines"),
        (KeyboardInterrupt(), 130, "what was finished is kept"),
    ],
)
def test_what_goes_wrong_inside_is_one_line_and_its_exit_code(error, code, sentence, monkeypatch):
    def fail(*arguments):
        raise error

    monkeypatch.setattr("deblurlib.reproduce.run", fail)
    result = call("reproduce")
    assert result.exit_code == code and sentence in result.stderr and len(result.stderr.splitlines()) == 1


def test_check_data_says_that_a_folder_is_no_data_set(tmp_path):
    result = call("check-data", tmp_path / "nowhere")
    assert result.exit_code == 1 and "does not exist" in result.output and "Traceback" not in result.output


def test_check_data_reports_in_words_and_in_json(tmp_path):
    from PIL import Image

    for kind in ("blur", "sharp"):
        folder = tmp_path / "train" / "GOPR0001_00_00" / kind
        folder.mkdir(parents=True)
        Image.new("RGB", (32, 32), 128).save(folder / "000001.png")
    words, data = call("check-data", tmp_path), call("check-data", tmp_path, "--json")
    assert words.exit_code == data.exit_code and words.stdout.strip()
    assert isinstance(json.loads(data.stdout), dict)
