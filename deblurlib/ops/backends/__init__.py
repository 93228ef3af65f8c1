"""The implementations that the operators choose from."""

from . import dispatch


def _load_triton() -> None:
    from . import triton_kernels  # noqa: F401  # registers its kernels


dispatch.register_lazily("triton", _load_triton)
