"""Images as convolutions want them: with an axis of channels, and a border of zeros if need be.

y[b, c, p, q] = x[b, c, p - n, q - n]
"""

from typing import Any

import phistar as ph
from phistar.errors import ShapeError

b, p, q = ph.indices("b p q")


def with_channels(x: Any, channels: int, border: int = 0) -> Any:
    """x[b, c, p, q], or x[b, p, q] with one channel -> y[b, c, p, q] with a border around it.

    Raises ShapeError for an image of other axes, or with another number of channels.
    """
    if len(x.shape) not in (3, 4):
        raise ShapeError(f"images are x[b, c, p, q] or x[b, p, q], not of shape {x.shape}")
    found = x.shape[1] if len(x.shape) == 4 else 1
    if found != channels:
        raise ShapeError(f"the model sees {channels} channels, but images {x.shape} have {found}")
    if len(x.shape) == 4 and not border:
        return x
    y: Any = ph.tensors("y")
    c, at = ph.index("c", channels), (ph.pad(p, border), ph.pad(q, border))
    y[b, c, p, q] = x[b, c, *at] if len(x.shape) == 4 else x[b, *at]
    return y
