"""Kills, full disks, damaged files and rivals, thrown at every command that writes results.

    python -m tests.chaos --seed 0 --signals 120

Each command first runs undisturbed. Then it is disturbed and run once more, after which everything
must equal the undisturbed run, with no process and no temporary file left. Commands run as forks of
this process, which has imported what they import, so that most take a fraction of a second. The
table of outcomes is written to results/tables/chaos.csv, in which commands and faults that are not
tried now keep their rows; the exit code is 1 if an outcome is a failure.
"""

import argparse
import math
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pandas as pd
import torch

from deblurlib.results import results_folder, save_table

from .commands import COMMANDS, make_work_small
from .disturbances import FAULTS, SIGNALS, Arena, Tally
from .processes import mark_environment


def main() -> int:
    """Disturb commands, print what went wrong, and write the table."""
    names = [command.name for command in COMMANDS]
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("commands", nargs="*", choices=[*names, []], help="default: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--signals", type=int, default=120, help="over all commands")
    parser.add_argument("--operations", type=int, help="deaths per command; default: all")
    parser.add_argument("--places", type=int, default=4, help="of a full disk, per command")
    parser.add_argument("--damages", type=int, default=10, help="per command")
    parser.add_argument("--rivals", type=int, default=20, help="pairs per command")
    parser.add_argument("--results", help="results folder for the table")
    options = parser.parse_args()
    mark_environment()
    torch.set_num_threads(1)
    make_work_small()
    shares = sum(command.share for command in COMMANDS)
    root, failures = Path(tempfile.mkdtemp(prefix="chaos-")), 0
    for command in COMMANDS:
        if options.commands and command.name not in options.commands:
            continue
        began = time.monotonic()
        arena = Arena(root / command.name, command, options.seed)
        seconds, operations = arena.normal.seconds, arena.normal.operations
        print(f"{command.name}: {seconds:.1f} s, {operations} file operations", flush=True)
        each = math.ceil(options.signals * command.share / shares / len(SIGNALS))
        for disturb, n in (
            (arena.send_signals, each),
            (arena.die_at_operations, options.operations),
            (arena.fill_disk, options.places),
            (arena.damage_files, options.damages),
            (arena.set_two_at_once, options.rivals),
        ):
            if n == 0:
                continue
            disturb(n)
            write_table(arena.tallies, results_folder(options.results), options.seed)
        failed = sum(len(tally.failures) for tally in arena.tallies)
        cases = sum(tally.cases for tally in arena.tallies)
        print(f"  {cases} cases, {failed} failures, {time.monotonic() - began:.0f} s", flush=True)
        failures += failed
        if not failed:
            shutil.rmtree(arena.root)
    with suppress(OSError):  # what failed is kept
        root.rmdir()
    return int(failures > 0)


def write_table(tallies: list[Tally], results: Path, seed: int) -> None:
    """Write the outcomes of a command to tables/chaos.csv, in place of its earlier ones."""
    path = results / "tables" / "chaos.csv"
    found = pd.DataFrame(
        [
            {
                "command": tally.command,
                "fault": tally.fault,
                "cases": tally.cases,
                "failures": len(tally.failures),
            }
            for tally in tallies
        ]
    )
    earlier = [pd.read_csv(path)] if path.is_file() else []
    table = pd.concat([*earlier, found]).drop_duplicates(["command", "fault"], keep="last")
    names = [*(command.name for command in COMMANDS), *FAULTS]
    places = {name: place for place, name in enumerate(names)}
    table = table.sort_values(["command", "fault"], key=lambda column: column.map(places))
    save_table(table, path, seed=seed)


if __name__ == "__main__":
    sys.exit(main())
