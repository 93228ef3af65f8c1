"""File operations of a disturbed command: counted in all of its processes, and one of them is hit.

Python imports a module of this name when it starts. The folder of this one is on the PYTHONPATH of
the disturbed commands, so that workers and kernels are hit as well. What happens stands as JSON in
the environment variable DEBLURLIB_CHAOS_FAULT.
"""

import errno
import fcntl
import json
import os
import signal
import sys
import time

VARIABLE = "DEBLURLIB_CHAOS_FAULT"
REMOVALS = {"os.remove", "os.rmdir"}
CHANGES = {"os.rename", "os.link", "os.mkdir", "os.truncate"} | REMOVALS
ASIDE = (".lock", ".log")


class Operations:
    """An audit hook that counts what writes below a folder, and acts at one operation.

    Args:
        folder: The folder.
        counter: A file with one byte for each operation so far, in all processes.
        place: Number of the operation to act at, from 0; None to count only.
        action: "die", or "full" for a disk that is full from there on.
    """

    def __init__(
        self, folder: str, counter: str, place: int | None = None, action: str = "die"
    ) -> None:
        self.below, self.counter = f"{folder}{os.sep}", counter
        self.place, self.action = place, action

    def __call__(self, event: str, arguments: tuple) -> None:
        if event == "open":
            writes = isinstance(arguments[2], int) and arguments[2] & (
                os.O_WRONLY | os.O_RDWR | os.O_CREAT
            )
            if not writes:
                return
        elif event not in CHANGES:
            return
        path = str(arguments[0])
        if not path.startswith(self.below) or path.endswith(ASIDE):
            return
        here = self.count()
        if self.place is None or here < self.place:
            return
        if self.action == "full" and event not in REMOVALS:
            raise OSError(errno.ENOSPC, "No space left on device", path)
        if self.action == "die" and here == self.place:
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(9)

    def count(self) -> int:
        """Count one operation; return how many there were before it."""
        descriptor = os.open(self.counter, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX)
            before = os.fstat(descriptor).st_size
            os.write(descriptor, b".")
        finally:
            os.close(descriptor)
        return before


def install() -> None:
    """Prepare this process for what the environment describes."""
    os.nice = lambda increment: 0  # the workers of a sweep are short here
    if os.environ.get(VARIABLE):
        sys.addaudithook(Operations(**json.loads(os.environ[VARIABLE])))


install()
