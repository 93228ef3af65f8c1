"""The implementations that the operators choose from."""

from . import cpp, dispatch, reference  # noqa: F401  # register their implementations


def _load_triton() -> None:
    from . import triton_backend  # noqa: F401  # registers its implementations


dispatch.register_lazily("triton", _load_triton)
