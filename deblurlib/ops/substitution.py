"""Replace operators within a block of code, for exports and comparisons."""

import contextlib
from collections.abc import Callable, Iterator

from torch import Tensor

Function = Callable[..., Tensor]
_substitutes: dict[str, Function] = {}


@contextlib.contextmanager
def substitute(
    deform_conv2d: Function | None = None,
    spatial_rnn: Function | None = None,
    dynamic_filter: Function | None = None,
    prelu: Function | None = None,
) -> Iterator[None]:
    """Compute operators with other functions within a `with` block, also inside networks.

    The arguments are checked first, and the functions are called with positional arguments in the
    form of the internal operators `torch.ops.deblurlib.*`. They are differentiated by autograd and
    can be traced. The substitution holds for all threads of the process; blocks can be nested.

    Args:
        deform_conv2d: Called as (input, offset, weight, bias, mask, stride, padding, dilation), the
            last three as (vertical, horizontal) pairs; bias and mask may be None.
        spatial_rnn: Called as (x, p, direction), with the direction "all" for `spatial_rnn_4way`.
        dynamic_filter: Called as (x, logits, kernel_size).
        prelu: Called as (x, weight).

    Yields:
        None. An operator whose function is not given is unchanged.
    """
    given = {
        "deform_conv2d": deform_conv2d,
        "spatial_rnn": spatial_rnn,
        "dynamic_filter": dynamic_filter,
        "prelu": prelu,
    }
    before = _substitutes.copy()
    _substitutes.update({name: function for name, function in given.items() if function})
    try:
        yield
    finally:
        _substitutes.clear()
        _substitutes.update(before)


def current(operator: str, default: Function) -> Function:
    """Return the function that currently computes an operator.

    Args:
        operator: Its public name, such as "deform_conv2d".
        default: Computes it outside of `substitute`.

    Returns:
        The substitute if there is one, or else `default`.
    """
    return _substitutes.get(operator, default)
