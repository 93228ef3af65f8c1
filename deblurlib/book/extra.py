"""The packages that only the book needs.

They come with the extra `notebooks`; an error names a missing one and the command to install it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

INSTALL = 'pip install "deblurlib[notebooks]"'


@contextmanager
def notebook_packages() -> Iterator[None]:
    """Import packages of the extra `notebooks` in the body of this context.

    Raises:
        ModuleNotFoundError: If one of them is not installed, with the command that installs it.

    Yields:
        Nothing; imports in the body are guarded.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise _missing(error.name or str(error)) from None


def require(package: str) -> None:
    """Check that a package of the extra `notebooks`, imported by another process, is installed.

    Args:
        package: Name under which it is imported, such as "papermill".

    Raises:
        ModuleNotFoundError: If it is not installed, with the command that installs it.
    """
    if find_spec(package) is None:
        raise _missing(package)


def _missing(package: str) -> ModuleNotFoundError:
    name = package.partition(".")[0]
    return ModuleNotFoundError(
        f"The notebooks need the package {name}, which is not installed: run {INSTALL}.", name=name
    )
