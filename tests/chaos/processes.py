"""Running commands as forks of this process, which has imported the library."""

import importlib
import json
import os
import signal
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from deblurlib.cli.app import app

from .inside import sitecustomize as inside

MARK = "DEBLURLIB_CHAOS"  # in the environment of every process that a command starts
INSIDE = Path(inside.__file__).parent
ROOT = Path(__file__).resolve().parents[2]


def mark_environment() -> None:
    """Start this process again in the environment that all processes of the commands inherit."""
    mark = str(os.getpid())  # stays the same
    if os.environ.get(MARK) != mark:
        path = os.pathsep.join(filter(None, [str(INSIDE), str(ROOT), os.environ.get("PYTHONPATH")]))
        added = {MARK: mark, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # many processes start
        os.execve(sys.executable, sys.orig_argv, {**os.environ, **added})


def import_what_it_imports(modules: Path) -> None:
    """Import the modules that a command has imported, so that its forks need not.

    Args:
        modules: The file that `start` wrote.
    """
    for name in modules.read_text().split():
        with suppress(Exception):
            importlib.import_module(name)


def start(
    arguments: list[str],
    log: Path,
    fault: dict[str, Any] | None = None,
    modules: Path | None = None,
) -> int:
    """Fork a process that runs a command.

    Args:
        arguments: Those of `deblurlib`.
        log: File that its output is appended to.
        fault: Arguments of `inside.Operations`; None for none.
        modules: File for the names of the modules that it imports; None for none.

    Returns:
        The number of the process.
    """
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
        if fault is not None:
            os.environ[inside.VARIABLE] = json.dumps(fault)
            inside.install()
        app(arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        if modules is not None:
            modules.write_text("\n".join(sys.modules))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait(process: int, seconds: float = 240) -> int:
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


def survivors(seconds: float = 60) -> list[psutil.Process]:
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
        ours = process.environ().get(MARK) == os.environ[MARK]
        return ours and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False
