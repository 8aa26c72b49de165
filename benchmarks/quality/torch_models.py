"""The zoo's language models in PyTorch, with functions of the parameters by their names.

loss = char_lstm(torch, p, text)        p["layers.0.W"], ...; text[b, t]
"""

from typing import Any


def next_word(torch: Any, scores: Any, text: Any) -> Any:
    """E of -ln P(the next word)."""
    return torch.nn.functional.cross_entropy(scores.flatten(0, 1), text[:, 1:].flatten())


def layers_of(p: Any, under: str) -> int:
    return 1 + max(int(name.split(".")[1]) for name in p if name.startswith(f"{under}."))


def char_lstm(torch: Any, p: Any, text: Any) -> Any:
    x = p["E"][text[:, :-1]]
    for n in range(layers_of(p, "layers")):
        W, U, a = (p[f"layers.{n}.{name}"].flatten(0, 1) for name in "WUa")
        start = x.new_zeros(1, len(x), U.shape[1])
        weights = [W, U, a, torch.zeros_like(a)]
        x, *_ = torch.lstm(x, (start, start), weights, True, 1, 0.0, True, False, True)
    return next_word(torch, torch.nn.functional.linear(x, p["V"], p["v"]), text)


def ugrnn_lm(torch: Any, p: Any, text: Any) -> Any:
    F, x = torch.nn.functional, p["E"][text[:, :-1]]
    for n in range(layers_of(p, "layers")):
        W, U, a, Wg, Ug, ag = (p[f"layers.{n}.{m}"] for m in ("W", "U", "a", "Wg", "Ug", "ag"))
        h, hs = x.new_zeros(len(x), len(a)), []
        for now in x.unbind(1):
            c = torch.tanh(F.linear(now, W, a) + F.linear(h, U))
            g = torch.sigmoid(F.linear(now, Wg, ag) + F.linear(h, Ug))
            h = g * h + (1 - g) * c
            hs.append(h)
        x = torch.stack(hs, 1)
    return next_word(torch, F.linear(x, p["V"], p["v"]), text)


def gpt(torch: Any, p: Any, text: Any, heads: int) -> Any:
    F = torch.nn.functional

    def norm(x: Any, name: str) -> Any:
        return F.layer_norm(x, x.shape[-1:], p[f"{name}.weight"], p[f"{name}.bias"])

    def product(x: Any, name: str) -> Any:
        return x @ p[f"{name}.weight"] + p[f"{name}.bias"]

    x = p["wte.weight"][text[:, :-1]] + p["wpe.weight"][: text.shape[1] - 1]
    for n in range(layers_of(p, "h")):
        s = product(norm(x, f"h.{n}.ln_1"), f"h.{n}.attn.c_attn")
        q, k, v = s.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        x = x + product(y, f"h.{n}.attn.c_proj")
        y = F.gelu(product(norm(x, f"h.{n}.ln_2"), f"h.{n}.mlp.c_fc"), approximate="tanh")
        x = x + product(y, f"h.{n}.mlp.c_proj")
    return next_word(torch, F.linear(norm(x, "ln_f"), p["wte.weight"]), text)
