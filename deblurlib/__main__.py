"""The command line: `deblurlib`, or `python -m deblurlib`."""

import sys

from .cli.app import app

if __name__ == "__main__":
    sys.exit(app())
