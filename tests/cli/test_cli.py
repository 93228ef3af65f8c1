"""The command line: quick to start, and errors in one sentence."""

import json
import shlex
import signal
import subprocess
import sys

import cv2
import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from deblurlib import __version__
from deblurlib.cli.app import app, missing_module
from deblurlib.cli.shared import records

WITHOUT = """
import sys
sys.modules[{module!r}] = None  # as if it were not installed
from deblurlib.cli.app import app
from deblurlib.cli.shared import records
app({arguments!r})
"""


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_help_lists_the_commands_without_importing_torch():
    shown = subprocess.run(
        [sys.executable, "-m", "deblurlib", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    for command in ("reproduce", "refresh", "check-data", "coverage"):
        assert command in shown.stdout
    script = (
        "import sys, deblurlib.__main__;"
        "print(sorted({'torch', 'pandas', 'cv2', 'papermill'} & set(sys.modules)))"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        ).stdout
        == "[]\n"
    )


def test_version_is_printed_without_importing_torch():
    script = (
        "import sys; from deblurlib.cli.app import app;"
        "app(['--version'], standalone_mode=False); print('torch' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert shown.stdout == f"deblurlib {__version__}\nFalse\n" and not shown.stderr


@pytest.mark.parametrize(
    "arguments, module, extra",
    [
        (["site", "nowhere"], "nbformat", "notebooks"),
        (["reproduce"], "papermill", "notebooks"),
        (["refresh"], "nbclient", "notebooks"),
        (["sweep", "svdn_table2", "--scheduler", "tcp://h:1"], "distributed", "sweep"),
    ],
)
def test_a_missing_package_is_one_sentence_that_names_the_extra(arguments, module, extra):
    script = WITHOUT.format(module=module, arguments=arguments)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode == 2 and run.stdout == "" and len(run.stderr.splitlines()) == 1
    assert module in run.stderr and f'pip install "deblurlib[{extra}]"' in run.stderr


@pytest.mark.parametrize(
    "error, sentence",
    [
        (
            ModuleNotFoundError("No module named 'cv2'", name="cv2"),
            "cv2 is not installed: reinstall deblurlib with its dependencies.",
        ),
        (
            ImportError("libGL.so.1: cannot open\nshared object"),
            "libGL.so.1: cannot open shared object",
        ),
        (
            ModuleNotFoundError("Run `pip install x`.", name="x"),
            "Run `pip install x`.",
        ),
        (ModuleNotFoundError("…", name="deblurlib.nowhere"), None),
        (ImportError("cannot import name 'x' from 'deblurlib.ops'", name="deblurlib.ops"), None),
    ],
)
def test_a_missing_dependency_is_a_sentence_and_a_bug_is_none(error, sentence):
    assert missing_module(error) == sentence


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (
            ["reproduce", "--preset", "huge"],
            "There is no preset 'huge': choose one of smoke, quick, reference, long, gpu, paper.",
        ),
        (["reproduce", "--data", "no/where"], "The data folder no/where does not exist"),
        (["reproduce", "--notebooks", "99"], "There is no notebook 99"),
        (["reproduce", "--jobs", "-1"], "Invalid value for '--jobs'"),
        (["evaluate", ""], "data is empty: give a value or leave it out."),
        (["evaluate", "--model", ""], "There is no model '': choose one of"),
        (["train", "--real", ""], "real is empty"),
        (["sweep", "--scheduler", ""], "scheduler is empty"),
        (["ablation", "svdn_table2", "--results", ""], "results is empty"),
        (["bench", "speed"], "There is no part 'speed': choose operators, networks"),
        (["bench", "networks", "--size", "720p"], "--size is '720p': give HEIGHTxWIDTH"),
        (["bench", "networks", "--size", "8x1280"], "each 16 or more"),
    ],
)
def test_wrong_input_is_one_sentence_on_stderr_and_exit_code_2(arguments, sentence, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    result = call(*arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr and "Traceback" not in result.stderr and result.stdout == ""


COMMANDS = typer.main.get_command(app).commands


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_that_it_accepts(name):
    shown = call(name, "--help")
    assert shown.exit_code == 0 and f"Example: deblurlib {name}" in shown.output
    _, program, command, *arguments = shlex.split(COMMANDS[name].epilog)
    assert (program, command) == ("deblurlib", name)
    COMMANDS[name].make_context(name, arguments)  # raises for what it does not take


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is_and_none_is_an_empty_text(name):
    for parameter in COMMANDS[name].params:
        assert parameter.help, parameter.name
        assert parameter.default != "", parameter.name


@pytest.mark.parametrize(
    "command", sorted(set(COMMANDS) - {"refresh", "site", "student-edition"})
)  # they write notebooks
def test_every_command_that_reports_does_it_for_programs_too(command):
    assert "--json" in call(command, "--help").output


@pytest.mark.parametrize(
    "typed, completed",
    [
        ("deblurlib ev", "evaluate"),
        ("deblurlib check", "check-data"),
        ("deblurlib evaluate --sp", "--split"),
    ],
)
def test_the_shell_completes_commands_and_options(typed, completed):
    shell = {
        "_DEBLURLIB_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(typed.count(" ")),
    }
    assert CliRunner().invoke(app, [], prog_name="deblurlib", env=shell).output.split() == [
        completed
    ]


@pytest.mark.parametrize(
    "arguments, code",
    [
        (["models"], 0),
        (["--help"], 0),
        (["no-such-command"], 2),
        (["deblur"], 2),
        (["train", "no-such-network"], 2),
        (["sweep", "no_such_table"], 2),
        (["evaluate", "no/where"], 2),
        (["evaluate", "--frames", "3"], 2),
        (["coverage", "--notebooks", "no/where"], 2),
    ],
)
def test_exit_codes_are_stable(arguments, code):
    assert call(*arguments).exit_code == code


@pytest.mark.parametrize(
    "arguments",
    [
        ["reproduce"],
        ["reproduce", "--notebooks", "01"],
        ["refresh"],
        ["coverage"],
        ["student-edition", "course"],
        ["site", "web"],
    ],
    ids=" ".join,
)
def test_without_a_clone_a_command_of_the_book_says_where_the_notebooks_are(
    arguments, tmp_path, monkeypatch
):
    monkeypatch.setattr("deblurlib.book.notebooks.ROOT", tmp_path / "site-packages")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1 and "in a clone of the repository" in result.stderr


def test_models_and_coverage_print_json():
    models = json.loads(call("models", "--json").stdout)
    row = {"model": "svdn", "variant": "paper", "parameters": 812019}
    assert row in models["networks"]
    columns = {"weights", "model", "variant", "size", "steps", "gain", "megabytes", "sha256"}
    assert models["weights"] and set(models["weights"][0]) == columns
    coverage = json.loads(call("coverage", "--json").stdout)
    assert len(coverage) > 50 and {"paper", "item", "state"} <= set(coverage[0])


def test_the_help_says_what_exit_codes_mean_and_offers_completion():
    shown = " ".join(call("--help").output.split())
    for part in (
        "0 = success",
        "1 = some items failed",
        "2 = invalid usage",
        "130 = interrupted",
        "--install-completion",
    ):
        assert part in shown


def test_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setenv("DEBLURLIB_DEBUG", "1")
    assert isinstance(call("reproduce", "--preset", "huge").exception, ValueError)


@pytest.mark.parametrize(
    "error, code, sentence",
    [
        (OSError(28, "No space left on device"), 1, "No space left on device"),
        (ValueError("two\nlines"), 2, "two lines"),
        (KeyboardInterrupt(), 130, "finished work is kept"),
        (MemoryError("Too large"), 1, "Too large"),
        (FloatingPointError("Ten losses in a row were not finite"), 1, "Ten losses"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
            1,
            "Out of memory: use smaller",
        ),
        (RuntimeError("could not create a primitive"), 1, "Out of memory: use smaller"),
        (OSError(28, "No space", "a/t.csv"), 1, "a/t.csv: No space. Free some space and run the"),
        (PermissionError(13, "Permission denied", "a/t.csv"), 1, "a/t.csv: Permission denied."),
    ],
)
def test_what_goes_wrong_inside_is_one_line_and_its_exit_code(error, code, sentence, monkeypatch):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("deblurlib.book.reproduce.run", fail)
    result = call("reproduce")
    assert (
        result.exit_code == code
        and sentence in result.stderr
        and len(result.stderr.splitlines()) == 1
    )


def test_a_reader_that_has_enough_is_no_error_worth_a_word(monkeypatch):
    def fail(*_, **__):
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("deblurlib.book.reproduce.run", fail)
    result = call("reproduce")
    assert (result.exit_code, result.stderr) == (1, "")


def test_a_bug_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr("deblurlib.book.reproduce.run", lambda *_, **__: 1 / {}["x"])
    assert isinstance(call("reproduce").exception, KeyError)


def test_check_data_says_that_a_folder_is_no_data_set(tmp_path):
    result = call("check-data", tmp_path / "nowhere")
    assert (
        result.exit_code == 2
        and "does not exist" in result.output
        and "Traceback" not in result.output
    )
    assert (
        "does not exist"
        in json.loads(call("check-data", tmp_path / "nowhere", "--json").stdout)["error"]
    )
    assert call("check-data", tmp_path).exit_code == 1  # it is there, and no data set


def test_check_data_reports_in_words_and_in_json(tmp_path):
    from PIL import Image

    for kind in ("blur", "sharp"):
        folder = tmp_path / "train" / "GOPR0001_00_00" / kind
        folder.mkdir(parents=True)
        Image.new("RGB", (32, 32), len(kind)).save(folder / "000001.png")
    words, data = call("check-data", tmp_path), call("check-data", tmp_path, "--json")
    assert words.exit_code == data.exit_code == 0
    assert "train: 1 pair with" in words.stdout and "1111" in words.stdout
    report = json.loads(data.stdout)
    assert report["dataset"] == "GoPro" and report["splits"][0]["pairs"] == {"blur": 1}


def test_evaluate_prints_json_in_which_infinity_is_a_text_that_float_reads(tmp_path):
    from PIL import Image

    for kind in ("blur", "sharp"):
        (tmp_path / "A" / kind).mkdir(parents=True)
        Image.new("RGB", (24, 24), 77).save(tmp_path / "A" / kind / "000001.png")
    result = call("evaluate", tmp_path, "--blurry-only", "--json")
    report = json.loads(result.stdout, parse_constant=pytest.fail)
    assert report["images"][0]["image"] == "A/000001" and report["gain"] == {}
    assert report["mean"]["blurry rgb-psnr"] == "Infinity"
    assert report["mean"]["blurry ssim-skimage"] == 1


def test_records_keep_every_digit_and_tell_missing_from_infinite():
    table = pd.DataFrame({"x": [1 / 3, np.inf, -np.inf, np.nan], "n": [1, 2, 3, 4]})
    values = [row["x"] for row in records(table)]
    assert values == [1 / 3, "Infinity", "-Infinity", None] and float(values[1]) == np.inf
    assert [row["n"] for row in records(table)] == [1, 2, 3, 4]


def test_reproduce_prints_json(monkeypatch, tmp_path):
    from deblurlib.book.reproduce import Summary

    table = pd.DataFrame([{"notebook": "01", "state": "failed", "minutes": float("nan")}])
    monkeypatch.setattr(
        "deblurlib.book.reproduce.run", lambda *_, **__: Summary(table, tmp_path / "index.html")
    )
    result = call("reproduce", "--json")
    report = json.loads(result.stdout)
    assert (
        report["notebooks"] == [{"notebook": "01", "state": "failed", "minutes": None}]
        and result.exit_code == 1
    )


def test_sweep_and_train_print_json(monkeypatch, tmp_path):
    from types import SimpleNamespace

    import pandas as pd

    monkeypatch.setattr(
        "deblurlib.experiments.sweep.sweep",
        lambda *a, **k: pd.DataFrame([{"row": "fd", "state": "trained"}]),
    )
    assert json.loads(call("sweep", "svdn_table2", "--json").stdout) == [
        {"row": "fd", "state": "trained"}
    ]
    run = SimpleNamespace(folder=tmp_path, cached=True, seconds=3.0)
    monkeypatch.setattr("deblurlib.training.fit", lambda *a, **k: run)
    report = json.loads(call("train", "svdn", "--json").stdout)
    assert (
        report["weights"] == str(tmp_path / "model.safetensors")
        and report["reused"]
        and len(report["hash"]) == 12
    )


def test_train_takes_the_perceptual_weight_of_the_preset_or_its_own(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(
        "deblurlib.training.fit",
        lambda experiment, **options: seen.append(experiment.perceptual) or 1 / 0,
    )
    for options in ((), ("--perceptual", 0), ("--perceptual", 0.5)):
        call("train", "svdn_table2:fd_og", "--preset", "paper", *options)
    assert seen == [0.01, 0, 0.5]


def test_bench_runs_its_parts_and_keeps_json_clean(monkeypatch, tmp_path):
    import pandas as pd

    def measure(part):
        def run(folder, *arguments):
            print("progress")
            return pd.DataFrame([{"part": part, "arguments": str(arguments), "ms": float("nan")}])

        return run

    monkeypatch.setattr("deblurlib.bench.operators.run", measure("operators"))
    monkeypatch.setattr("deblurlib.bench.networks.run", measure("networks"))
    both = call("bench", "--json", "--results", tmp_path, "--size", "32x48", "--repeats", 2)
    assert both.exit_code == 0, both.output
    report = json.loads(both.stdout, parse_constant=pytest.fail)
    assert (
        report["networks"] == [{"part": "networks", "arguments": "((32, 48), 2)", "ms": None}]
        and "operators" in report
    )
    assert both.stderr.splitlines() == ["progress"] * 2
    assert list(json.loads(call("bench", "networks", "--json").stdout)) == ["networks"]


def test_ablation_shows_ours_beside_theirs(monkeypatch, tmp_path):
    import pandas as pd

    def measured(table, preset, scenes, **options):
        psnr = {"base": (25.0, 26.0, 27.0), "fd": (25.5, 26.4, 27.6)}
        psnr = psnr if options["train"] else {"fd": psnr["fd"]}
        rows = [
            {
                "table": table,
                "row": row,
                "seed": 0,
                "image": i,
                "photograph": f"p{i}",
                "rgb-psnr": value,
                "blurry rgb-psnr": 24.0,
                "parameters": 9,
            }
            for row, values in psnr.items()
            for i, value in enumerate(values)
        ]
        return pd.DataFrame(rows)

    monkeypatch.setattr("deblurlib.experiments.ablations.measured", measured)
    result = call(
        "ablation", "svdn_table2", "--preset", "smoke", "--json", "--output", tmp_path / "mine.csv"
    )
    assert result.exit_code == 0, (result.stderr, result.exception)
    base, fd = json.loads(result.stdout, parse_constant=pytest.fail)
    assert (
        base["minus base"] is None
        and fd["minus base"] == pytest.approx(0.5)
        and fd["printed psnr_db"] == 29.57
    )
    assert (
        pd.read_csv(tmp_path / "mine.csv").row.tolist() == ["base", "fd"]
        and (tmp_path / "mine.csv.origin.json").exists()
    )
    early = call("ablation", "svdn_table2", "--finished")
    assert early.exit_code and "The row 'base' is not finished" in early.stderr
    alone = call("ablation", "svdn_table2", "--finished", "--against", "fd", "--json")
    assert [line["row"] for line in json.loads(alone.stdout)] == ["fd"]
    monkeypatch.setenv("COLUMNS", "200")
    words = call("ablation", "svdn_table2", "--against", "fd")
    assert "minus fd" in words.stdout and "With one seed" in words.stderr
    monkeypatch.setattr("deblurlib.experiments.ablations.measured", pytest.fail)  # not needed
    wrong = call("ablation", "svdn_table2", "--against", "fdd")
    assert (
        wrong.exit_code == 2
        and "svdn_table2 has no row 'fdd': choose one of base, dilated, fd" in wrong.stderr
    )


def test_ctrl_c_before_a_command_has_begun_is_one_sentence(monkeypatch, capsys):
    """Typer takes some hundredths of a second to find the options of all commands."""

    def interrupted(_typer):
        raise KeyboardInterrupt

    monkeypatch.setattr("typer.main.get_command", interrupted)
    with pytest.raises(SystemExit) as ended:
        app(["models"])
    assert ended.value.code == 130
    assert capsys.readouterr().err == "Interrupted: finished work is kept.\n"


@pytest.mark.parametrize("name, code", [("SIGINT", 130), ("SIGTERM", 143)])
def test_an_interrupt_that_a_library_turns_into_an_error_still_interrupts(
    name, code, tmp_path, monkeypatch
):
    """Native code that calls Python may report the exception of a signal as its own."""

    def read(_path):
        try:
            signal.raise_signal(getattr(signal, name))
        except KeyboardInterrupt:
            raise ValueError("the file is damaged") from None

    monkeypatch.setattr("deblurlib.models.weights.load_file", read)
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((32, 32, 3), np.uint8))
    result = call("deblur", tmp_path / "a.png", "-o", tmp_path / "out")
    assert result.exit_code == code
    assert "Interrupted: finished work is kept." in result.stderr
    assert "damaged" not in result.stderr and "cannot be read" not in result.stderr
