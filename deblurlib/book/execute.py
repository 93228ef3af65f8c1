"""Executing one notebook through papermill, in a process that does not outlive its parent.

    python -m deblurlib.book.execute JSON

The parent holds the other end of the standard input. When it ends, that closes, and this process
ends the kernel, removes the unfinished copy of the notebook, and ends itself.
"""

import json
import logging
import os
import sys
import uuid
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import psutil

from .extra import notebook_packages

with notebook_packages():
    import papermill
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_core.paths import jupyter_runtime_dir


class KernelManager(AsyncKernelManager):
    """Starts kernels that end with this process.

    On Linux they are reached through sockets with names of their own. TCP ports are chosen before
    the kernel binds them: two kernels that start at the same time can be given the same ones. The
    connection file is in Jupyter's runtime folder, where `remove_unfinished` finds what a killed
    run left, rather than among the temporary files of the system.

    Args:
        **options: Options of `AsyncKernelManager`.
    """

    def __init__(self, **options: Any) -> None:
        name, folder = f"kernel-{uuid.uuid4()}", Path(jupyter_runtime_dir())
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        own = {"connection_file": str(folder / f"{name}.json")}
        if sys.platform == "linux":  # a name that begins with @ is no file: nothing is left behind
            own |= {"transport": "ipc", "ip": f"@{name}"}
        super().__init__(**{**own, **options})

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        """Form the command that starts a kernel.

        Args:
            extra_arguments: Further arguments of the kernel.

        Returns:
            The command, with kernel.py in place of ipykernel's launcher.
        """
        python, _, _, *rest = super().format_kernel_cmd(extra_arguments)
        return [python, str(Path(__file__).with_name("kernel.py")), *rest]


def execute(notebook: str, copy: str, **options: Any) -> None:
    """Execute a notebook.

    Args:
        notebook: Path of the notebook.
        copy: Path of the executed copy.
        options: Further options of `papermill.execute_notebook`.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    Thread(target=_end_with_parent, args=[Path(copy)], daemon=True).start()
    papermill.execute_notebook(
        notebook,
        copy,
        kernel_name="python3",
        language="python",
        kernel_manager_class=KernelManager,
        log_output=True,
        progress_bar=False,
        **options,
    )


def _end_with_parent(copy: Path) -> None:
    """Wait for the end of the parent, then leave nothing behind."""
    os.read(sys.stdin.fileno(), 1)
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    copy.unlink(missing_ok=True)
    os._exit(1)


if __name__ == "__main__":
    execute(**json.loads(sys.argv[1]))
