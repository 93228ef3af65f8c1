"""Kills, full disks, damaged files and rivals, thrown at every command that writes results.

    python tests/chaos.py --seed 0 --kills 120

Each command first runs undisturbed. Then it is disturbed and run once more, after which everything
must equal the undisturbed run, with no process and no temporary file left. Commands run as forks of
this process, which has imported the library, so that a call costs a fraction of a second. The table
of outcomes is written to results/tables/chaos.csv; the exit code is 1 if one of them is a failure.
"""

import argparse
import errno
import hashlib
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ["OMP_NUM_THREADS"] = "1"

import lightning_fabric  # noqa: F401  # here and below: loaded once, not by every command
import nbformat
import numpy as np
import pandas as pd
import psutil
import skimage.metrics  # noqa: F401
import sklearn.datasets  # noqa: F401
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image
from safetensors.torch import load

from deblurlib.cli.app import app
from deblurlib.experiments.presets import PRESETS
from deblurlib.experiments.tables import TABLES
from deblurlib.results import results_folder, save_table

MARK = f"chaos-{os.getpid()}"  # in the environment of every process that a command starts
WRITES = {"os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir", "os.truncate"}
LEFTOVERS = re.compile(r"\..+\.tmp|.*\.running\.ipynb|kernel-.*\.json|.*\.partial\.csv|\.build-.*")
VARYING = {"seconds", "git_commit", "start_time", "end_time", "duration", "date", "time"}
TINY = {"train_steps": 4, "tuning_steps": 2, "train_scenes": 2, "test_scenes": 2}

LESSONS = {
    "01_numbers": """
import numpy as np, pandas as pd
from pathlib import Path
from deblurlib.results import save_picture, save_table
random = np.random.default_rng(seed)
table = pd.DataFrame({"psnr": random.random(5)})
save_table(table, Path(results) / "tables" / "01_numbers.csv", seed=seed);
""",
    "02_figure": """
import json, numpy as np
from pathlib import Path
from deblurlib.results import save_picture
from deblurlib.storage import write_atomically
picture = np.random.default_rng(seed).random((8, 8, 3))
save_picture(picture, Path(results) / "figures" / "02_a.png")
write_atomically(Path(results) / "ledger" / "02_V1.json", json.dumps({"value": 1}));
""",
}


@dataclass(frozen=True)
class Command:
    """A command that is disturbed.

    Attributes:
        name: Its name.
        arguments: Its arguments, in which {out} is a new folder and {data} that of the inputs.
        damaged: The inputs that are damaged; empty if results are damaged instead.
        share: Its share of the kills.
        rivals: How often two of them run at once.
    """

    name: str
    arguments: str
    damaged: str = ""
    share: float = 1.0
    rivals: int = 20


COMMANDS = [
    Command("deblur", "deblur {data}/in -o {out}/sharp --compare --tile 32", damaged="in"),
    Command("evaluate", "evaluate {data}/pairs --overwrite -o {out}/table.csv", damaged="pairs"),
    Command("train", "train svdn --preset tiny --results {out}"),
    Command(
        "sweep",
        "sweep svdn_table2 --preset tiny --jobs 1 --results {out}",
        share=0.25,
        rivals=4,
    ),
    Command(
        "reproduce",
        "reproduce --preset smoke --notebooks {data}/notebooks --results {out} --jobs 2",
        share=0.5,
    ),
]
KINDS = ("empty", "truncated", "garbage", "one bit", "a folder")
ASIDE = (".lock", ".log", ".html")  # written only, or written anew by every run


@dataclass
class Tally:
    """The outcomes of one kind of disturbance of one command."""

    command: str
    fault: str
    cases: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, problem: str) -> None:
        """Count a case; `problem` is empty if it ended well."""
        self.cases += 1
        if problem:
            self.failures.append(problem)
            print(f"    {self.command}, {self.fault}: {problem}", flush=True)


# --------------------------------------------------------------------------------------------------
# Running a command


def start(arguments: list[str], log: Path, hook: Callable[[str, tuple], None] | None = None) -> int:
    """Fork a process that runs a command; return its number."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for number in (1, 2):
            os.dup2(stream, number)
        if hook is not None:
            sys.addaudithook(hook)
        app(arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait(process: int, seconds: float = 120) -> int:
    """The exit code of a process, negative for a signal; -99 if it had to be killed."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        number, status = os.waitpid(process, os.WNOHANG)
        if number:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return -99


def survivors(seconds: float = 5) -> list[psutil.Process]:
    """Processes that a command started and that outlive it by some seconds; they are killed."""
    until = time.monotonic() + seconds
    while True:
        found = [process for process in psutil.process_iter() if _is_ours(process)]
        if not found or time.monotonic() > until:
            for process in found:
                process.kill()
            return found
        time.sleep(0.1)


def _is_ours(process: psutil.Process) -> bool:
    try:
        ours = process.environ().get("DEBLURLIB_CHAOS") == MARK
        return ours and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False


# --------------------------------------------------------------------------------------------------
# Comparing results


def snapshot(folder: Path) -> dict[str, str]:
    """What the files of a folder hold, without times and places."""
    return {
        path.relative_to(folder).as_posix(): _content(path, folder)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(".lock") and path.parent.name != "logs"
    }


def _content(path: Path, folder: Path) -> str:
    data = path.read_bytes()
    if path.suffix == ".safetensors":
        tensors = load(data)
        data = b"".join(n.encode() + t.numpy().tobytes() for n, t in sorted(tensors.items()))
    elif path.suffix == ".ipynb":
        cells = nbformat.reads(data.decode(), as_version=4).cells
        data = json.dumps([[cell.source, cell.get("outputs", [])] for cell in cells]).encode()
    elif path.suffix == ".json":
        data = json.dumps(_fixed(json.loads(data)), sort_keys=True).encode()
    elif path.suffix == ".html":
        data = b""  # says when a notebook was run
    return hashlib.sha256(data.replace(str(folder).encode(), b"")).hexdigest()


def _fixed(value: object) -> object:
    """JSON without values that vary between equal runs."""
    if isinstance(value, dict):
        kept = {name: _fixed(each) for name, each in value.items() if name not in VARYING}
        if "outputs" in kept:  # checksums of executed notebooks, which hold times
            outputs = kept["outputs"]
            kept["outputs"] = {n: h for n, h in outputs.items() if not n.startswith("notebooks/")}
            kept["state"] = str(kept.get("state")).replace("cached", "done")
        return kept
    return [_fixed(each) for each in value] if isinstance(value, list) else value


def difference(reference: dict[str, str], folder: Path) -> str:
    """In what a folder differs from the undisturbed run; empty if in nothing."""
    left = [p.name for p in folder.rglob("*") if LEFTOVERS.fullmatch(p.name)]
    if left:
        return f"left behind: {left[0]}"
    found = snapshot(folder)
    missing, extra = set(reference) - set(found), set(found) - set(reference)
    changed = [name for name in set(reference) & set(found) if reference[name] != found[name]]
    for title, names in (("missing", missing), ("new", extra), ("different", changed)):
        if names:
            return f"{title}: {min(names)}"
    return ""


# --------------------------------------------------------------------------------------------------
# Disturbances


class Arena:
    """The inputs of the commands, their undisturbed results, and the disturbances."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root, self.rng, self.tallies = root, random.Random(seed), []
        self.count = 0
        _write_inputs(root / "data")

    def tally(self, command: Command, fault: str) -> Tally:
        """Begin to count the outcomes of one fault."""
        self.tallies.append(Tally(command.name, fault))
        return self.tallies[-1]

    def call(
        self, command: Command, out: Path, hook: object = None, data: Path | None = None
    ) -> int:
        """Start a command; return the number of its process."""
        out.mkdir(parents=True, exist_ok=True)
        arguments = command.arguments.format(out=out, data=data or self.root / "data").split()
        return start(arguments, self.root / f"{out.name}.log", hook)

    def folder(self) -> Path:
        """A new folder for results."""
        self.count += 1
        return self.root / f"out{self.count}"

    def undisturbed(self, command: Command) -> tuple[dict[str, str], float, int]:
        """Run a command twice: its results, its seconds, and its number of file operations."""
        out, counter = self.folder(), self.root / "operations"
        began = time.monotonic()
        code = wait(self.call(command, out, _Operations(out, count=counter)))
        seconds = time.monotonic() - began
        log = (self.root / f"{out.name}.log").read_text()
        assert code == 0, f"{command.name} fails undisturbed ({code}):\n{log}"
        reference, operations = snapshot(out), int(counter.read_text())
        again = self.folder()
        assert wait(self.call(command, again)) == 0
        assert difference(reference, again) == "", difference(reference, again)
        assert wait(self.call(command, out)) == 0, "a second run of finished work fails"
        assert difference(reference, out) == "", difference(reference, out)
        shutil.rmtree(again)
        return reference, seconds, operations

    def aftermath(self, command: Command, out: Path, reference: dict[str, str]) -> str:
        """What is wrong after a disturbance and one more run; empty if nothing is."""
        if found := survivors():
            return f"a process lives on: {' '.join(found[0].cmdline())[:80]}"
        code = wait(self.call(command, out))
        log = (self.root / f"{out.name}.log").read_text()
        if code:
            last = (log.strip().splitlines() or [""])[-1]
            return f"the next run ends with {code}: {last}"
        if "Traceback" in log:
            return "a traceback is shown"
        problem = difference(reference, out)
        if not problem:
            shutil.rmtree(out)
        return problem

    def kill(self, command: Command, reference: dict[str, str], seconds: float, n: int) -> None:
        """Send signals at random moments."""
        names = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")
        tallies = {name: self.tally(command, name) for name in names}
        for i in range(n):
            name, out = names[i % len(names)], self.folder()
            process = self.call(command, out)
            time.sleep(self.rng.uniform(0.02, 1.0) * seconds)
            with suppress(ProcessLookupError):
                os.kill(process, getattr(signal, name))
            code = wait(process)
            late = code == -99 and "it does not end"
            tallies[name].add(late or self.aftermath(command, out, reference))

    def die_at_each_operation(
        self, command: Command, reference: dict[str, str], operations: int, most: int
    ) -> None:
        """End the process just before its first, second … file operation."""
        tally = self.tally(command, "death at a file operation")
        places = sorted(self.rng.sample(range(operations), min(most, operations)))
        for place in places:
            out = self.folder()
            wait(self.call(command, out, _Operations(out, place, _die)))
            tally.add(self.aftermath(command, out, reference))

    def fill_disk(self, command: Command, reference: dict[str, str], operations: int) -> None:
        """Let every file operation fail from one of four places on."""
        tally = self.tally(command, "full disk")
        for quarter in range(4):
            out, place = self.folder(), quarter * operations // 4 + 1
            code = wait(self.call(command, out, _Operations(out, place, _full, lasting=True)))
            log = (self.root / f"{out.name}.log").read_text()
            if code == 0:
                tally.add(f"success in spite of a full disk at operation {place}")
            elif "No space left on device" not in log:
                tally.add(f"the full disk at operation {place} is not named")
            elif "Traceback" in log:
                tally.add("a traceback is shown")
            else:
                tally.add(self.aftermath(command, out, reference))

    def damage(self, command: Command, reference: dict[str, str], n: int) -> None:
        """Damage a file; the next run restores it, or names it in a sentence.

        It is one of the results, or of the inputs of commands that do not look at their results.
        """
        tally = self.tally(command, "damaged file")
        master = self.folder()
        wait(self.call(command, master))
        for _ in range(n):
            out, data = self.folder(), self.root / f"data{self.count}"
            shutil.copytree(self.root / "data", data)
            if command.damaged:
                place, kinds = data / command.damaged, KINDS[:-1]
            else:
                shutil.copytree(master, out)
                place, kinds = out, KINDS
            files = [
                p
                for p in sorted(place.rglob("*"))
                if p.is_file() and p.suffix not in ASIDE and p.name != ".lock"
            ]
            path, kind = self.rng.choice(files), self.rng.choice(kinds)
            _damage(path, kind, self.rng)
            code = wait(self.call(command, out, data=data))
            log = (self.root / f"{out.name}.log").read_text()
            if "Traceback" in log:
                problem = "a traceback is shown"
            elif code:
                problem = "" if path.name in log else f"ends with {code} and does not name it"
            else:
                problem = difference(reference, out)
            tally.add(problem and f"{path.relative_to(place)}, {kind}: {problem}")
            shutil.rmtree(data)
            shutil.rmtree(out)

    def set_two_at_once(self, command: Command, reference: dict[str, str], seconds: float) -> None:
        """Run a command twice at the same time: both end, and no result is lost or doubled."""
        tally = self.tally(command, "two at once")
        for _ in range(command.rivals):
            out = self.folder()
            first = self.call(command, out)
            time.sleep(self.rng.uniform(0, 0.5) * seconds)
            second = self.call(command, out)
            codes = {wait(first), wait(second)}
            log = (self.root / f"{out.name}.log").read_text()
            if not codes <= {0, 1} or 0 not in codes:
                tally.add(f"exit codes {sorted(codes)}")
            elif "Traceback" in log:
                tally.add("a traceback is shown")
            else:
                tally.add(difference(reference, out) or self.aftermath(command, out, reference))


class _Operations:
    """An audit hook that counts the file operations below a folder and acts at one of them."""

    def __init__(
        self,
        folder: Path,
        place: int = -1,
        act: Callable[[], None] | None = None,
        lasting: bool = False,
        count: Path | None = None,
    ) -> None:
        self.folder, self.place, self.act, self.lasting = str(folder), place, act, lasting
        self.count, self.seen, self.process, self.busy = count, 0, 0, False

    def __call__(self, event: str, arguments: tuple) -> None:
        if event == "open":
            path, _, flags = arguments
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if not writes:
                return
        elif event in WRITES:
            path = arguments[0]
        else:
            return
        self.process = self.process or os.getpid()
        if self.busy or self.process != os.getpid() or not str(path).startswith(self.folder):
            return
        if str(path).endswith((".lock", ".log")):
            return
        here, self.seen = self.seen, self.seen + 1
        if self.count is not None:
            self.busy = True
            self.count.write_text(str(self.seen))
            self.busy = False
        removes = event in ("os.remove", "os.rmdir")
        if self.act and (
            here == self.place or (self.lasting and here > self.place and not removes)
        ):
            self.act()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(9)


def _full() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def _damage(path: Path, kind: str, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    path.unlink()
    if kind == "a folder":
        path.mkdir()
        return
    if kind == "empty":
        data.clear()
    elif kind == "truncated":
        del data[len(data) // 2 :]
    elif kind == "garbage":
        data = bytearray(rng.randbytes(200))
    elif data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


# --------------------------------------------------------------------------------------------------
# Inputs


def _write_inputs(data: Path) -> None:
    rng = np.random.default_rng(0)
    for folder in ("in", "pairs/blur", "pairs/sharp"):
        (data / folder).mkdir(parents=True)
        for name in "abcdef"[: 5 if folder == "in" else 3]:
            pixels = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(data / folder / f"{name}.png")
    (data / "notebooks").mkdir()
    parameters = (
        'preset = "smoke"\ndata = ""\nvariant = ""\nresults = ""\nseed = 0\ndevice = "auto"'
    )
    for name, code in LESSONS.items():
        cells = [new_markdown_cell(f"# {name}\n\nA claim."), new_code_cell(parameters)]
        cells[1].metadata.tags = ["parameters"]
        nbformat.write(
            new_notebook(cells=[*cells, new_code_cell(code)]), data / "notebooks" / f"{name}.ipynb"
        )


def _commands(names: list[str]) -> Iterator[Command]:
    for command in COMMANDS:
        if not names or command.name in names:
            yield command


def main() -> int:
    """Disturb every command, print what went wrong, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commands", nargs="*", help="names of commands; default: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=120, help="signals at random moments")
    parser.add_argument("--operations", type=int, default=40, help="deaths at file operations")
    parser.add_argument("--damages", type=int, default=40)
    parser.add_argument("--rivals", type=float, default=1.0, help="factor on the pairs")
    parser.add_argument("--results", help="results folder for the table")
    options = parser.parse_args()
    torch.set_num_threads(1)
    os.environ["DEBLURLIB_CHAOS"] = MARK
    PRESETS["tiny"] = replace(
        PRESETS["smoke"], name="tiny", scene_size=64, patch=32, batch=2, **TINY
    )
    TABLES["svdn_table2"] = {name: TABLES["svdn_table2"][name] for name in ("base", "fd")}
    began, root = time.monotonic(), Path(tempfile.mkdtemp(prefix="chaos-"))
    arena, chosen = Arena(root, options.seed), list(_commands(options.commands))
    shares = sum(command.share for command in COMMANDS)
    for command in chosen:
        print(command.name, flush=True)
        reference, seconds, operations = arena.undisturbed(command)
        print(f"  {seconds:.1f} s, {operations} file operations", flush=True)
        kills = -(-int(options.kills * command.share / shares + 0.999) // 4) * 4
        arena.kill(command, reference, seconds, kills)
        arena.die_at_each_operation(command, reference, operations, options.operations)
        arena.fill_disk(command, reference, operations)
        arena.damage(command, reference, options.damages // len(COMMANDS))
        rivals = replace(command, rivals=round(command.rivals * options.rivals))
        arena.set_two_at_once(rivals, reference, seconds)
        table = write_table(arena, results_folder(options.results), options.seed)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(table.to_string(index=False))
    print(
        f"{table.cases.sum()} cases, {table.failures.sum()} failures, "
        f"{time.monotonic() - began:.0f} s, {used.ru_utime + used.ru_stime:.0f} s of CPU"
    )
    if not table.failures.any():
        shutil.rmtree(root)
    return int(table.failures.any())


def write_table(arena: Arena, results: Path, seed: int) -> pd.DataFrame:
    """Write the outcomes so far to tables/chaos.csv."""
    rows = [
        {
            "command": tally.command,
            "fault": tally.fault,
            "cases": tally.cases,
            "failures": len(tally.failures),
        }
        for tally in arena.tallies
    ]
    return save_table(pd.DataFrame(rows), results / "tables" / "chaos.csv", seed=seed)


if __name__ == "__main__":
    sys.exit(main())
