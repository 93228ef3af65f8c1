"""Kills, full disks, damaged files and rivals."""

import os
import random
import shutil
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .commands import Command, write_inputs
from .comparison import Snapshot, difference, snapshot
from .processes import import_what_it_imports, start, survivors, wait

SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")
FAULTS = (*SIGNALS, "death at a file operation", "full disk", "damaged file", "two at once")
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


@dataclass(frozen=True)
class Undisturbed:
    """What a command does when nothing happens to it: results, seconds, file operations."""

    reference: Snapshot
    seconds: float
    operations: int


class Arena:
    """A folder in which one command is disturbed.

    Args:
        root: An empty folder.
        command: The command.
        seed: Seed of the moments, places and damages.
    """

    def __init__(self, root: Path, command: Command, seed: int) -> None:
        self.root, self.command, self.tallies = root, command, []
        self.rng = random.Random(f"{seed} {command.name}")
        self.count = 0
        write_inputs(root / "data")
        self.normal = self.undisturbed()

    def tally(self, fault: str) -> Tally:
        """Begin to count the outcomes of one fault."""
        self.tallies.append(Tally(self.command.name, fault))
        return self.tallies[-1]

    def folder(self) -> Path:
        """A new folder for results; no name is the beginning of another."""
        self.count += 1
        return self.root / f"out{self.count:04}"

    def call(
        self,
        out: Path,
        fault: dict[str, Any] | None = None,
        data: Path | None = None,
        modules: Path | None = None,
    ) -> int:
        """Start the command; return the number of its process."""
        out.mkdir(parents=True, exist_ok=True)
        arguments = self.command.arguments.format(out=out, data=data or self.root / "data")
        if fault is not None:
            fault = {"folder": str(out), "counter": str(self.root / f"{out.name}.count"), **fault}
        return start(arguments.split(), self.log(out), fault, modules)

    def log(self, out: Path) -> Path:
        """The output of the commands that wrote into a folder."""
        return self.root / f"{out.name}.output"

    def text(self, out: Path) -> str:
        """The content of `log`."""
        return self.log(out).read_text(errors="replace")

    def undisturbed(self) -> Undisturbed:
        """Run the command twice, and once more where its work is finished."""
        out, again, modules = self.folder(), self.folder(), self.root / "modules"
        code = wait(self.call(out, {}, modules=modules))
        import_what_it_imports(modules)
        assert code == 0, f"{self.command.name} fails undisturbed ({code}):\n{self.text(out)}"
        reference = snapshot(out)
        began = time.monotonic()
        assert wait(self.call(again)) == 0, self.text(again)
        seconds = time.monotonic() - began
        assert wait(self.call(out)) == 0, "a second run of finished work fails"
        for folder in (again, out):
            assert not (found := difference(reference, folder)), found
        shutil.rmtree(again)
        operations = (self.root / f"{out.name}.count").stat().st_size
        return Undisturbed(reference, seconds, operations)

    def aftermath(self, out: Path) -> str:
        """What is wrong after a disturbance and one more run; empty if nothing is."""
        if "Traceback" in self.text(out):
            return "a traceback is shown"
        if found := survivors():
            return f"a process lives on: {' '.join(found[0].cmdline())[:80]}"
        if code := wait(self.call(out)):
            last = (self.text(out).strip().splitlines() or [""])[-1]
            return f"the next run ends with {code}: {last}"
        if "Traceback" in self.text(out):
            return "a traceback is shown by the next run"
        problem = difference(self.normal.reference, out)
        if not problem:
            shutil.rmtree(out)
        return problem

    def send_signals(self, n: int) -> None:
        """Send each signal at n random moments."""
        for name in SIGNALS:
            tally, number = self.tally(name), getattr(signal, name)
            for _ in range(n):
                out = self.folder()
                process = self.call(out)
                time.sleep(self.rng.uniform(0.02, 1.0) * self.normal.seconds)
                with suppress(ProcessLookupError):
                    os.kill(process, number)
                code = wait(process)
                unexpected = code not in (0, -number, 128 + number)
                problem = f"ends with {code}" if unexpected else self.aftermath(out)
                tally.add(problem)

    def die_at_operations(self, most: int | None) -> None:
        """End the process that does the first, second … file operation just before it."""
        tally, n = self.tally("death at a file operation"), self.normal.operations
        for place in sorted(self.rng.sample(range(n), n if most is None else min(most, n))):
            out = self.folder()
            wait(self.call(out, {"place": place}))
            tally.add(self.aftermath(out))

    def fill_disk(self, n: int) -> None:
        """Let every file operation fail from one of n places on."""
        tally = self.tally("full disk")
        for part in range(n):
            out, place = self.folder(), part * self.normal.operations // n
            code = wait(self.call(out, {"place": place, "action": "full"}))
            if code == 0:
                tally.add(f"success in spite of a full disk at operation {place}")
            elif "No space left on device" not in self.text(out):
                tally.add(f"the full disk at operation {place} is not named")
            else:
                tally.add(self.aftermath(out))

    def damage_files(self, n: int) -> None:
        """Damage a file; the next run restores it, or names it in a sentence.

        It is one of the results, or of the inputs of commands that do not look at their results.
        """
        tally, master = self.tally("damaged file"), self.folder()
        wait(self.call(master))
        for _ in range(n):
            out, data = self.folder(), self.root / f"data{self.count}"
            shutil.copytree(self.root / "data", data)
            if self.command.damaged is None:
                shutil.copytree(master, out)
            place = out if self.command.damaged is None else data / self.command.damaged
            files = [p for p in sorted(place.rglob("*")) if _can_be_damaged(p)]
            path, kind = self.rng.choice(files), self.rng.choice(self.command.kinds)
            _damage(path, kind, self.rng)
            code = wait(self.call(out, data=data))
            text = self.text(out)
            problem = ""
            if "Traceback" in text:
                problem = "a traceback is shown"
            elif path.name not in text:
                problem = f"ends with {code} and does not name it" if code else ""
                problem = problem or difference(self.normal.reference, out)
            tally.add(problem and f"{path.relative_to(place)}, {kind}: {problem}")
            shutil.rmtree(data)
            shutil.rmtree(out)

    def set_two_at_once(self, n: int) -> None:
        """Run the command twice at a time: no result is lost or doubled, and one at least ends."""
        tally = self.tally("two at once")
        for _ in range(n):
            out = self.folder()
            first = self.call(out)
            time.sleep(self.rng.uniform(0, 0.5) * self.normal.seconds)
            second = self.call(out)
            codes = {wait(first), wait(second)}
            if not codes <= {0, 1} or 0 not in codes:
                tally.add(f"exit codes {sorted(codes)}")
            else:
                tally.add(difference(self.normal.reference, out) or self.aftermath(out))


def _can_be_damaged(path: Path) -> bool:
    return path.is_file() and path.suffix not in ASIDE and path.name != ".lock"


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
