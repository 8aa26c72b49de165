"""Transformer layers and stacks of them (Vaswani et al. 2017).

encoder   x = norm1(x + attention(x)),  x = norm2(x + feed(x))
decoder   x = norm1(x + attention(x)),  x = norm2(x + attention(x, memory)),  x = norm3(x + feed(x))
feed(x) = linear2(f(linear1(x)))

With norm_first (Xiong et al. 2020) what is added is normalised, x = x + attention(norm1(x)).
"""

from collections.abc import Callable
from typing import Any

import phistar as ph
from phistar.errors import UsageError
from phistar.language.tensors import Tensor
from phistar.nn.attention import MultiHeadAttention
from phistar.nn.linear import Linear
from phistar.nn.noise import Dropout
from phistar.nn.normalisation import LayerNorm
from phistar.nn.shapes import whole

Part = Callable[[Any], Any]
# fmt: off
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": ph.relu,
    "gelu": ph.gelu,
    "silu": ph.silu,
    "tanh": ph.tanh,
}
# fmt: on


class TransformerLayer(ph.Model):
    """What encoder and decoder layers share: attention to itself, and two linear layers.

    d_model: features; nhead: heads; dim_feedforward: units between the linear layers; dropout: of
    attention's weights, of those units and of all that is added to x, in training; activation:
    "relu", "gelu", "silu", "tanh" or a function of an expression; norm_first: as above. Parameters
    have PyTorch's names and shapes. Raises UsageError for arguments that do not fit together.
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Any], Any] = "relu",
        layer_norm_eps: float = 1e-5,
        norm_first: bool = False,
        bias: bool = True,
        dtype: Any = "f32",
    ) -> None:
        self.arguments = (
            *(d_model, nhead, dim_feedforward, dropout, activation),
            *(layer_norm_eps, norm_first, bias, dtype),
        )
        whole(self, "d_model", d_model)
        whole(self, "dim_feedforward", dim_feedforward)
        self.norm_first, self.activation = norm_first, named(self, activation)
        self.build()

    def build(self) -> None:
        """The layers inside."""
        width, _, units, dropout, *_, bias, dtype = self.arguments
        self.self_attn = self.attention()
        self.linear1 = Linear(width, units, bias=bias, dtype=dtype)
        self.linear2 = Linear(units, width, bias=bias, dtype=dtype)
        self.norm1, self.norm2 = self.norm(), self.norm()
        self.between, self.dropped = Dropout(dropout), Dropout(dropout)

    def attention(self) -> MultiHeadAttention:
        embed, heads, _, dropout, *_, bias, dtype = self.arguments
        return MultiHeadAttention(embed, heads, bias=bias, dropout=dropout, dtype=dtype)

    def norm(self) -> LayerNorm:
        width, *_, eps, _, bias, dtype = self.arguments
        return LayerNorm(width, eps=eps, bias=bias, dtype=dtype)

    def another(self) -> Any:
        """A layer of its own with the same arguments, and the same values if there are any."""
        made = type(self)(*self.arguments)
        tensors = made.named_tensors()
        for name, tensor in self.named_tensors().items():
            if tensor.data is not None:
                tensors[name].value = tensor.data
        return made

    def added(self, x: Any, part: Part, norm: LayerNorm) -> Any:
        """x and a part of the layer, normalised after or before."""
        if self.norm_first:
            return total(x, self.dropped(part(norm(x))))
        return norm(total(x, self.dropped(part(x))))

    def feed(self, x: Any) -> Any:
        """linear2(f(linear1(x))), at every position by itself."""
        s, h = self.linear1(x), Tensor("h")
        j = ph.index("j")
        h[..., j] = self.activation(s[..., j])
        return self.linear2(self.between(h))


class TransformerEncoderLayer(TransformerLayer):
    """x[b, t, d_model] -> [b, t, d_model]: attention to itself, then `feed`.

    Called with `mask` and `lengths` as MultiHeadAttention, and `causal`. See `TransformerLayer`.
    """

    def __call__(self, x: Any, mask: Any = None, lengths: Any = None, causal: bool = False) -> Any:
        def attend(z: Any) -> Any:
            return self.self_attn(z, mask=mask, lengths=lengths, causal=causal)

        x = self.added(x, attend, self.norm1)
        return self.added(x, self.feed, self.norm2)


class TransformerDecoderLayer(TransformerLayer):
    """x[b, t, d_model], memory[b, u, d_model] -> [b, t, d_model].

    Attention to itself, attention to the memory, then `feed`. Called with `mask`, `lengths` and
    `causal` for x, `memory_mask` and `memory_lengths` for the memory. See `TransformerLayer`.
    """

    def build(self) -> None:
        super().build()
        self.multihead_attn, self.norm3 = self.attention(), self.norm()

    def __call__(
        self,
        x: Any,
        memory: Any,
        mask: Any = None,
        memory_mask: Any = None,
        lengths: Any = None,
        memory_lengths: Any = None,
        causal: bool = False,
    ) -> Any:
        def attend(z: Any) -> Any:
            return self.self_attn(z, mask=mask, lengths=lengths, causal=causal)

        def recall(z: Any) -> Any:
            return self.multihead_attn(z, memory, mask=memory_mask, lengths=memory_lengths)

        x = self.added(x, attend, self.norm1)
        x = self.added(x, recall, self.norm2)
        return self.added(x, self.feed, self.norm3)


class TransformerStack(ph.Model):
    """Layers like the given one, one above the other, then `norm`, a layer, or None.

    The layers are new, each with parameters of its own; they start with the values of the given
    one, if it has some. Raises UsageError for a layer of another kind or a number that is none.
    """

    kind: type[TransformerLayer] = TransformerLayer

    def __init__(self, layer: Any, num_layers: int, norm: Any = None) -> None:
        if not isinstance(layer, self.kind):
            raise UsageError(
                f"{type(self).__name__} is made of a {self.kind.__name__}, "
                f"not of {type(layer).__name__}"
            )
        whole(self, "num_layers", num_layers)
        self.layers = [layer.another() for _ in range(num_layers)]
        self.norm = norm

    def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        for layer in self.layers:
            x = layer(x, *args, **kwargs)
        return x if self.norm is None else self.norm(x)


class TransformerEncoder(TransformerStack):
    """x[b, t, d_model] -> [b, t, d_model], called as a TransformerEncoderLayer.

    See `TransformerStack`.
    """

    kind = TransformerEncoderLayer


class TransformerDecoder(TransformerStack):
    """x[b, t, d_model], memory[b, u, d_model] -> [b, t, d_model].

    Called as a TransformerDecoderLayer. See `TransformerStack`.
    """

    kind = TransformerDecoderLayer


def named(layer: Any, activation: Any) -> Callable[[Any], Any]:
    """A function by its name, or itself; UsageError if it is neither."""
    if callable(activation):
        return activation  # type: ignore[no-any-return]
    if activation not in ACTIVATIONS:
        raise UsageError(
            f"activation of {type(layer).__name__} is {', '.join(map(repr, ACTIVATIONS))} "
            f"or a function, not {activation!r}"
        )
    return ACTIVATIONS[activation]


def total(x: Tensor, y: Tensor) -> Tensor:
    """x + y."""
    e, z = ph.index("e"), Tensor("z")
    z[..., e] = x[..., e] + y[..., e]
    return z
