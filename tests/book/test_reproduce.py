"""The runner of the notebooks, on notebooks small enough to start in two seconds."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time

import nbformat
import psutil
import pytest
from rich.console import Console

from deblurlib import storage
from deblurlib.book import display, forecast, manifest, names, notebooks, reproduce
from deblurlib.book.task import Task
from deblurlib.provenance import ROOT
from deblurlib.results import results_folder

# What lesson.table, lesson.figure and lesson.claim write, without importing torch and pandas
WRITE_TABLE = """
import json, random
from pathlib import Path
random.seed(seed)
path = Path(results) / "tables" / "01_numbers.csv"
path.parent.mkdir(parents=True, exist_ok=True)
path.write_text(f"method,rgb-psnr\\n<b>,{random.random()}\\n")
origin = {"preset": preset, "seed": seed, "device": "cpu", "data": "scenes", "git_commit": "abc"}
Path(f"{path}.origin.json").write_text(json.dumps(origin));
"""
WRITE_FIGURE = """
from PIL import Image
(Path(results) / "figures").mkdir(exist_ok=True)
Image.new("RGB", (8, 8)).save(Path(results) / "figures" / "01_a_picture.png")
(Path(results) / "pictures").mkdir(exist_ok=True)
Image.new("RGB", (8, 8)).save(Path(results) / "pictures" / "01_a_before.png")
"""
WRITE_CLAIM = """
(Path(results) / "ledger").mkdir(exist_ok=True)
(Path(results) / "ledger" / "01_V1.json").write_text("{}")
"""


def run(tmp_path, **arguments):
    return reproduce.run(
        "smoke", notebooks=tmp_path / "notebooks", results=tmp_path / "results", **arguments
    )


def manifest_of(tmp_path):
    return json.loads((tmp_path / "results" / "manifest.json").read_text())


def states(summary):
    return dict(zip(summary.table.notebook, summary.table.state, strict=True))


def test_one_bad_notebook_and_one_killed_kernel_stop_nobody(tmp_path, write_notebook, capfd):
    write_notebook("01_good", WRITE_TABLE, WRITE_FIGURE, WRITE_CLAIM)
    write_notebook("02_bad", "fine = 1", "# a comment\n1 / 0", "never = 1")
    write_notebook(
        "03_killed", "import os, signal", "os.kill(os.getpid(), signal.SIGKILL)", "never = 1"
    )
    summary = run(tmp_path, jobs=2)

    assert states(summary) == {"01_good": "done", "02_bad": "failed", "03_killed": "failed"}
    assert summary.exit_code == 1
    assert summary.table.iloc[0][["tables", "figures"]].tolist() == [1, 1]
    shown = capfd.readouterr().err
    assert "ZeroDivisionError: division by zero" in shown and "02.log" in shown

    written = manifest_of(tmp_path)
    assert written["inputs"] == {
        "preset": "smoke",
        "data": "",
        "variant": "",
        "seed": 0,
        "device": "auto",
        "data_hash": "",
    }
    assert {"git_commit", "python", "versions", "cores"} <= set(written)
    good, bad, killed = (written["notebooks"][name] for name in ("01_good", "02_bad", "03_killed"))
    assert set(good["outputs"]) == {
        "tables/01_numbers.csv",
        "tables/01_numbers.csv.origin.json",
        "figures/01_a_picture.png",
        "pictures/01_a_before.png",
        "ledger/01_V1.json",
        "notebooks/01_good.ipynb",
        "notebooks/01_good.html",
    }
    for name, sha256 in good["outputs"].items():
        assert manifest.file_hash(tmp_path / "results" / name) == sha256
    assert (bad["cell"], bad["error"]) == ("# a comment", "ZeroDivisionError: division by zero")
    assert killed["cell"].startswith("os.kill") and "lack of memory" in killed["error"]
    assert not list((tmp_path / "results").rglob("*.running.ipynb")) and not list(
        (tmp_path / "results").rglob("*.tmp")
    )
    assert str(tmp_path) not in (tmp_path / "results" / "manifest.json").read_text()

    page = (tmp_path / "results" / "index.html").read_text()
    assert "tables/01_numbers.csv" in page and "01_a_picture" in page
    assert "division by zero" in page and "A claim about 02_bad." in page


def test_unchanged_is_kept_changed_is_run_again_and_equal_seeds_give_equal_bytes(
    tmp_path, write_notebook
):
    write_notebook("01_good", WRITE_TABLE, WRITE_FIGURE)
    table = tmp_path / "results" / "tables" / "01_numbers.csv"
    assert states(run(tmp_path)) == {"01_good": "done"}
    first, written = table.read_bytes(), table.stat().st_mtime_ns

    assert states(run(tmp_path)) == {"01_good": "cached"}
    assert table.stat().st_mtime_ns == written

    table.write_text("method\ntampered with\n")
    assert states(run(tmp_path)) == {
        "01_good": "done"
    }  # an output that is not the recorded one counts as missing
    assert table.read_bytes() == first

    assert states(run(tmp_path, seed=1)) == {"01_good": "done"}
    assert table.read_bytes() != first

    write_notebook("01_good", WRITE_TABLE)  # the figure is no longer drawn
    assert states(run(tmp_path)) == {"01_good": "done"}
    assert table.read_bytes() == first
    assert not (tmp_path / "results" / "figures" / "01_a_picture.png").exists()


def test_parameters_reach_the_notebook_as_absolute_paths(tmp_path, write_notebook, monkeypatch):
    source = (
        "import os, json, pathlib\nthreads = os.environ['OMP_NUM_THREADS']\n"
        "seen = [preset, data, variant, seed, os.getcwd(), threads, results]"
    )
    write_notebook(
        "01_parameters", source, "pathlib.Path(results, 'seen.json').write_text(json.dumps(seen));"
    )
    (tmp_path / "my data" / "train").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    reproduce.run("smoke", "my data", "blur", "notebooks", jobs=1, results="results", seed=7)
    preset, data, variant, seed, cwd, threads, results = json.loads(
        (tmp_path / "results" / "seen.json").read_text()
    )
    assert (preset, variant, seed, threads) == ("smoke", "blur", 7, str(notebooks.cores()))
    assert (data, cwd, results) == (
        str(tmp_path / "my data"),
        str(tmp_path / "notebooks"),
        str(tmp_path / "results"),
    )
    assert manifest_of(tmp_path)["inputs"]["data"] == "my data"


def test_readers_wait_for_what_they_read(tmp_path, write_notebook, monkeypatch):
    monkeypatch.setattr(reproduce, "READS", {"01": ("02",)})
    monkeypatch.setattr(manifest, "READS", {"01": ("02",)})
    note = "import time; open(f'{results}/order.txt', 'a').write('%s ')"
    write_notebook("01_reader", note % "reader")
    write_notebook("02_writer", "import time; time.sleep(1)", note % "writer")
    assert run(tmp_path, jobs=2).exit_code == 0
    assert (tmp_path / "results" / "order.txt").read_text().split() == ["writer", "reader"]


SLOW = (
    "try: time.sleep(300)\n"
    "except KeyboardInterrupt: open(f'{results}/checkpoint', 'w').write('saved'); raise"
)


def as_in_a_terminal():
    """Undo what a child inherits: background shells ignore SIGINT, and nohup SIGHUP."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def started(tmp_path, write_notebook):
    """`deblurlib reproduce` in the long cell of its second notebook, and the numbers of processes.

    These are the kernel and the process that runs papermill.
    """
    write_notebook("01_good", WRITE_TABLE)
    write_notebook(
        "02_slow",
        "import os, time\nopen(f'{results}/pids', 'w').write(f'{os.getpid()} {os.getppid()} ')",
        SLOW,
    )
    command = [sys.executable, "-m", "deblurlib", "reproduce", "--preset", "smoke", "--jobs", "1"]
    command += ["--notebooks", str(tmp_path / "notebooks"), "--results", str(tmp_path / "results")]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, preexec_fn=as_in_a_terminal
    )
    file = tmp_path / "results" / "pids"
    while process.poll() is None and not (file.exists() and file.read_text().endswith(" ")):
        time.sleep(0.1)
    time.sleep(1)  # into the long cell
    yield process, [psutil.Process(int(pid)) for pid in file.read_text().split()]
    process.kill()
    process.communicate()


def check_nothing_is_left(tmp_path, processes):
    assert not psutil.wait_procs(processes, timeout=5)[1], "processes live on"
    assert not list((tmp_path / "results").rglob("*.running.ipynb"))
    assert not list((tmp_path / "results").rglob("*.tmp"))
    assert not list((tmp_path / "results").rglob("kernel-*"))


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_interrupt_ends_the_kernels_and_leaves_whole_files(tmp_path, started, name):
    process, processes = started
    process.send_signal(getattr(signal, name))
    _, shown = process.communicate(timeout=30)
    assert process.returncode == 128 + getattr(signal, name)
    assert "finished work is kept" in shown and "Traceback" not in shown
    assert (tmp_path / "results" / "checkpoint").read_text() == "saved"
    check_nothing_is_left(tmp_path, processes)
    assert {name: entry["state"] for name, entry in manifest_of(tmp_path)["notebooks"].items()} == {
        "01_good": "done"
    }
    assert "01_good" in (tmp_path / "results" / "index.html").read_text()


def test_a_killed_run_takes_its_kernels_along_at_once(tmp_path, started):
    process, processes = started
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(processes, timeout=3)
    assert not alive, "processes live on"
    assert not list((tmp_path / "results").rglob("*.running.ipynb"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_kernel_ends_with_the_process_that_runs_papermill(tmp_path, started):
    process, (kernel, papermill) = started
    papermill.kill()
    assert not psutil.wait_procs([kernel], timeout=3)[1]
    _, shown = process.communicate(timeout=30)
    assert process.returncode == 1 and "02_slow" in shown
    check_nothing_is_left(tmp_path, [kernel, papermill])


def test_what_a_killed_run_left_is_removed_by_the_next_one(tmp_path, write_notebook):
    write_notebook("01_good", WRITE_TABLE)
    assert run(tmp_path).exit_code == 0
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = [
        tmp_path / "results" / "notebooks" / ".03_other.running.ipynb",
        tmp_path / "results" / "figures" / f".a.png.{storage._host}.{ended.pid}.0.tmp",
        tmp_path / "results" / ".kernels" / "01" / "kernel-1.json",
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("partial")
    assert states(run(tmp_path)) == {"01_good": "cached"}
    assert not any(path.exists() for path in left)


def test_the_second_run_in_a_folder_is_told_so_and_changes_nothing(tmp_path, started):
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "results").rglob("*") if p.is_file()}
    with pytest.raises(BlockingIOError, match=r"Another process is writing to .*--results"):
        run(tmp_path)
    after = {p: p.stat().st_mtime_ns for p in (tmp_path / "results").rglob("*") if p.is_file()}
    after.pop(tmp_path / "results" / "notebooks" / ".02_slow.running.ipynb", None)
    before.pop(tmp_path / "results" / "notebooks" / ".02_slow.running.ipynb", None)
    assert before == after
    assert started[0].poll() is None


def test_a_reader_runs_again_if_what_it_reads_has_changed_in_an_earlier_call(
    tmp_path, write_notebook, monkeypatch
):
    """As lesson 12, which showed old verdicts after `reproduce --notebooks 04`."""
    monkeypatch.setattr(reproduce, "READS", {"02": ("01",)})
    monkeypatch.setattr(manifest, "READS", {"02": ("01",)})
    record = "from pathlib import Path\nfile = Path(results) / 'ledger' / '01_V1.json'"
    change = "file.parent.mkdir(exist_ok=True); file.write_text('%s')"
    write_notebook("01_writer", record, change % "first")
    show = "table = Path(results) / 'tables' / '02_shown.csv'; table.parent.mkdir(exist_ok=True)"
    write_notebook("02_reader", record, show, "table.write_text(file.read_text());")
    assert set(states(run(tmp_path)).values()) == {"done"}

    def shown():
        return (tmp_path / "results" / "tables" / "02_shown.csv").read_text()

    assert set(states(run(tmp_path)).values()) == {"cached"} and shown() == "first"
    write_notebook("01_writer", record, change % "second")
    only_the_writer = {"notebooks": tmp_path / "notebooks" / "01_writer.ipynb"}
    reproduce.run("smoke", results=tmp_path / "results", **only_the_writer)
    assert states(run(tmp_path)) == {"01_writer": "cached", "02_reader": "done"}
    assert shown() == "second"


def test_the_number_of_threads_does_not_depend_on_the_choice_of_notebooks(
    tmp_path, write_notebook, monkeypatch
):
    write_notebook("01_a", "1"), write_notebook("02_b", "1")
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    monkeypatch.setattr(notebooks, "cores", lambda: 8)
    monkeypatch.setattr(reproduce, "cores", lambda: 8)
    for chosen in (None, "01"):
        assert reproduce.run("smoke", notebooks=chosen, results=tmp_path / "r").exit_code == 0
    entries = json.loads((tmp_path / "r" / "manifest.json").read_text())["notebooks"]
    assert {entry["threads"] for entry in entries.values()} == {4}
    assert entries["01_a"]["state"] == "cached"


def test_long_runs_without_a_terminal_report_each_minute(
    tmp_path, write_notebook, monkeypatch, capfd
):
    write_notebook("01_slow", "import time; time.sleep(2)")
    monkeypatch.setattr(display, "SECONDS_BETWEEN_LINES", 0.5)
    (tmp_path / "durations.csv").write_text("preset,lesson,seconds\nsmoke,01,300\n")
    monkeypatch.setattr(forecast, "DURATIONS", tmp_path / "durations.csv")
    run(tmp_path)
    shown = capfd.readouterr().err
    assert "  … 01_slow: cell " in shown
    assert re.search(r"  0 of 1 lesson, about \d+ min left, until \d\d:\d\d\n", shown)


TRAINING = """
from time import sleep
from deblurlib import progress
progress.SECONDS_IN_LOG = 0.2
with progress.progress_bar(total=20, desc="svdn fd", unit="step") as bar:
    for _ in range(20):
        sleep(0.1)
        bar.update()
print(sys.stderr.isatty())
"""


def test_training_inside_a_cell_is_shown_by_the_runner_and_its_log(
    tmp_path, write_notebook, monkeypatch, capfd
):
    path = write_notebook("01_slow", "import sys", TRAINING)
    monkeypatch.setattr(display, "SECONDS_BETWEEN_LINES", 0.3)
    run(tmp_path)
    step = r"svdn fd: \d+ of 20 steps, \d+ min elapsed, \d+ min left\n"
    assert re.search(rf"  … 01_slow: cell 5 of 5, \d+ min; {step}", capfd.readouterr().err)
    log = (tmp_path / "results" / "logs" / "01.log").read_text()
    assert re.search(f"Progress: {step}", log)
    assert "Progress: svdn fd: 20 steps are done\n" in log
    executed = nbformat.read(tmp_path / "results" / "notebooks" / path.name, as_version=4)
    assert "steps" not in str(executed.cells[-1].outputs)  # results do not depend on the time
    assert len(executed.cells[-1].outputs) == 1


def test_a_terminal_of_80_columns_shows_lessons_trainings_and_the_end(tmp_path, write_notebook):
    task_of = write_notebook("05_region_adaptive_dense_network", "1")
    parameters = {"results": str(tmp_path)}
    tasks = [Task(task_of, tmp_path, parameters, 1), Task(task_of, tmp_path, parameters, 1)]
    tasks[0].clock = time.monotonic() - 60
    tasks[0].log.parent.mkdir()
    tasks[0].log.write_text(
        "Executing Cell 2-----\nProgress: old\nExecuting Cell 3-----\n"
        + "Progress: svdn fd full seed 0: 9 of 40 steps, 1 min elapsed, 3 min left\n"
    )
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80)
    shown = display.Display(console, "quick", jobs=1, count=13)
    shown.begin(tasks[0])
    shown.show(tasks[:1], tasks[1:])
    console.print(*shown.get_renderables(), sep="\n")
    lines = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", screen.getvalue()).splitlines()
    assert max(map(len, lines)) <= 80
    assert any("05_region_adaptive_dense_network" in line and "cell 3/4" in line for line in lines)
    assert "  05: svdn fd full seed 0: 9 of 40 steps, 1 min elapsed, 3 min left" in lines
    assert any(re.match(r"  0 of 13 lessons, about \d+ min left, until", line) for line in lines)
    shown.show([], [])
    assert shown.lines == ["  0 of 13 lessons"]  # nothing is left to wait for


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ({"preset": "huge"}, "There is no preset 'huge'"),
        ({"data": "nowhere"}, "The data folder nowhere does not exist"),
        ({"notebooks": "99"}, "There is no notebook 99"),
        ({"jobs": -1}, "jobs is -1"),
    ],
)
def test_wrong_arguments_are_named_before_anything_runs(arguments, sentence, tmp_path):
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        reproduce.run(**{"results": tmp_path, "notebooks": [], **arguments})
    assert not list(tmp_path.iterdir())


def test_find_notebooks_by_folder_number_name_and_path(tmp_path, write_notebook, monkeypatch):
    first, second = write_notebook("01_one"), write_notebook("02_two")
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    assert notebooks.find_notebooks() == [first, second]
    assert notebooks.find_notebooks("02 01") == [first, second]
    assert (
        notebooks.find_notebooks("02")
        == notebooks.find_notebooks(["02_two"])
        == notebooks.find_notebooks(second)
        == [second]
    )
    assert notebooks.find_notebooks(tmp_path / "notebooks") == [first, second]


def test_the_names_of_the_book_are_those_of_its_notebooks():
    lessons = names.lessons_in(ROOT / "notebooks")[0]
    assert tuple(path.stem for path in lessons) == names.BOOK


def test_copies_of_lessons_are_left_alone_and_named(tmp_path, write_notebook, capfd):
    book = write_notebook("12_claims", WRITE_TABLE.replace("01_", "12_"))
    first = write_notebook("01_one", WRITE_TABLE)
    strays = [
        write_notebook(name, WRITE_TABLE.replace("random()", "choice([])"))
        for name in ("01_one-Copy1", "01_one Anna", "01_other", "12_a_mine", "Untitled")
    ]
    assert notebooks.find_notebooks(tmp_path / "notebooks") == [first, book]
    with pytest.raises(ValueError, match=r"does not have the name of a lesson, NN_name\.ipynb"):
        notebooks.find_notebooks(strays[0])
    summary = run(tmp_path)
    assert summary.table.state.tolist() == ["done", "done"]
    shown = capfd.readouterr().err
    assert "Not run, since they are not named as lessons" in shown
    assert all(path.name in shown for path in strays)


DAMAGED_NOTEBOOKS = {
    "empty": "",
    "conflict": '{"cells": [\n<<<<<<< HEAD\n1\n=======\n2\n>>>>>>> theirs\n]}',
    "list": "[]",
    "number": "7",
    "object": "{}",
    "cells": '{"cells": [{"cell_type": "code"}], "nbformat": 4, "nbformat_minor": 5}',
}


def test_damaged_notebooks_are_named_and_the_others_run(tmp_path, write_notebook):
    write_notebook("01_one", WRITE_TABLE)
    for i, text in enumerate(DAMAGED_NOTEBOOKS.values(), 2):
        (tmp_path / "notebooks" / f"0{i}_two.ipynb").write_text(text)
    summary = run(tmp_path)
    assert summary.table.state.tolist() == ["done"] + ["failed"] * len(DAMAGED_NOTEBOOKS)
    assert summary.exit_code == 1 and summary.report.exists()
    assert (tmp_path / "results" / "tables" / "01_numbers.csv").exists()
    for kind, error in zip(DAMAGED_NOTEBOOKS, summary.table.error[1:], strict=True):
        assert "_two.ipynb cannot be read as a notebook (" in error
        assert {"empty": "it is empty", "conflict": "merge conflict"}.get(kind, "") in error


def test_data_hash_sees_names_and_contents(tmp_path):
    (tmp_path / "a.png").write_bytes(b"1234")
    first = manifest.data_hash(str(tmp_path))
    (tmp_path / "a.png").write_bytes(b"1235")
    second = manifest.data_hash(str(tmp_path))
    (tmp_path / "a.png").rename(tmp_path / "b.png")
    assert len({first, second, manifest.data_hash(str(tmp_path)), manifest.data_hash("")}) == 4


def test_refresh_executes_in_place_and_keeps_only_tags(tmp_path, write_notebook, monkeypatch):
    path = write_notebook("01_lesson", "import sys\nprint('50 %', file=sys.stderr)\nprint(preset)")
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata = {
        "kernelspec": {"name": "other", "display_name": "x"},
        "papermill": {"duration": 3},
    }
    notebook.cells[2].metadata = {
        "tags": ["item:svrnn:eq1"],
        "execution": {"iopub.status.busy": "2026"},
        "collapsed": True,
    }
    nbformat.write(notebook, path)
    broken = write_notebook("02_broken", "1 / 0")
    before = broken.read_bytes()
    environment = dict(os.environ)
    monkeypatch.delattr(os, "fork")  # macOS and Windows start processes without it
    assert notebooks.refresh_notebooks(tmp_path / "notebooks", jobs=2) == 1
    assert dict(os.environ) == environment
    after = nbformat.read(path, as_version=4)
    assert after.metadata == notebooks.PLAIN_METADATA
    assert [cell.metadata for cell in after.cells] == [
        {},
        {"tags": ["parameters"]},
        {"tags": ["item:svrnn:eq1"]},
    ]
    assert [output.text for output in after.cells[2].outputs] == ["smoke\n"] and after.cells[
        2
    ].execution_count == 2
    assert broken.read_bytes() == before


def test_refresh_reads_records_after_they_were_written(tmp_path, write_notebook):
    record = tmp_path / "record"
    write_notebook(
        "01_lesson", f"import time\ntime.sleep(2)\nopen({str(record)!r}, 'w').write('new')"
    )
    write_notebook("12_claims", f"print(open({str(record)!r}).read())")
    assert notebooks.refresh_notebooks(tmp_path / "notebooks", jobs=2) == 0


SLIDER = """
from ipywidgets import IntSlider
from IPython.display import display
display('figure')
IntSlider()
"""


def test_sliders_work_without_a_front_end_and_are_not_stored(tmp_path, write_notebook):
    path = write_notebook("01_lesson", SLIDER)
    assert notebooks.refresh_notebooks(tmp_path / "notebooks", jobs=1) == 0
    assert reproduce.run("smoke", notebooks=path, results=tmp_path / "results").exit_code == 0
    for stored in (path, tmp_path / "results" / "notebooks" / path.name):
        notebook = nbformat.read(stored, as_version=4)
        assert [output.data for output in notebook.cells[-1].outputs] == [
            {"text/plain": "'figure'"}
        ]
        assert "widgets" not in notebook.metadata and "widget-view" not in stored.read_text()
    assert (
        "jupyter-widgets" not in (tmp_path / "results" / "notebooks" / "01_lesson.html").read_text()
    )


def test_results_folder_is_never_relative(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert results_folder("somewhere") == tmp_path / "somewhere"


def test_the_runner_does_not_need_torch():
    code = "import sys, deblurlib.book.reproduce; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
