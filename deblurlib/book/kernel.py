"""The IPython kernel of a notebook run: it ends at once when the process that started it ends."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>


def end_with(parent: int) -> None:
    """End this process when another one ends, however that ends; on Linux only.

    Args:
        parent: Number of the process that started this one.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before this line
            os._exit(1)


if __name__ == "__main__":
    end_with(int(os.environ["JPY_PARENT_PID"]))
    del sys.path[0]  # the folder of this file
    from ipykernel import kernelapp

    kernelapp.launch_new_instance()
