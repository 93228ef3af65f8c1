"""Processes that run a script with one checkout of the library, to compare two commits."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..provenance import git_commit
from ..results import ROOT

OURS, PEER = "deblurlib", "peer"


class Worker:
    """A process that answers commands with one checkout of the library, on one thread.

    Args:
        script: Reads a command from each line of its standard input and answers with a line of
            JSON. It may use only names that all commits of the library have.
        folder: The checkout.
    """

    def __init__(self, script: Path, folder: Path) -> None:
        self.script, self.folder = script, folder
        environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(script)],
            env=environment,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, *command: str | int) -> Any:
        """Give a command.

        Args:
            *command: Its words, without blanks.

        Returns:
            The answer of the process.

        Raises:
            ChildProcessError: If the process has failed.
        """
        assert self.process.stdin is not None and self.process.stdout is not None
        answer = ""
        with suppress(BrokenPipeError):  # it has failed before the command came
            print(*command, file=self.process.stdin, flush=True)
            answer = self.process.stdout.readline()
        if not answer:
            raise ChildProcessError(
                f"{self.script.name} failed with the library in {self.folder}: "
                "run it with PYTHONPATH set to that folder to see why."
            )
        return json.loads(answer)

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # a command that a failed process did not read
            self.process.stdin.close()
        self.process.wait()


@contextmanager
def workers(script: Path, against: Path | None) -> Iterator[dict[str, Worker]]:
    """Start a process for this checkout, and one for another.

    Args:
        script: See `Worker`.
        against: A checkout of another commit; None for this one alone.

    Yields:
        The processes: OURS and, with another checkout, PEER. They end with the block.

    Raises:
        ValueError: If there is no library in the other checkout.
    """
    folders = {OURS: ROOT}
    if against is not None:
        if not (against / "deblurlib").is_dir():
            raise ValueError(f"{against} has no folder deblurlib: give a checkout of this project.")
        folders[PEER] = against.resolve()
    started = {name: Worker(script, folder) for name, folder in folders.items()}
    try:
        yield started
    finally:
        for worker in started.values():
            worker.close()


def peer_origin(against: Path | None) -> dict[str, str]:
    """Describe the other checkout in the origin of a table.

    Args:
        against: The other checkout, or None.

    Returns:
        Its commit as peer_commit; nothing without one.
    """
    return {} if against is None else {"peer_commit": git_commit(against)}
