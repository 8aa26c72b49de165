"""The course's equations: each example prints its backward program and gets better at its task."""

import re
import runpy
from pathlib import Path

import pytest

COURSE = Path(__file__).parent.parent / "examples" / "course"
FALLS = re.compile(r"(?:loss|reward) (-?\d+\.\d+) -> (-?\d+\.\d+)")

# file: statements that its backward program must have, and how often something is trained
EXAMPLES: dict[str, tuple[list[str], int]] = {
    "mlp": (
        [
            "h.pre.grad[b, j] = where(h[b, j] > 0, h.grad[b, j], 0)",
            "W0.grad[j, i] += Σ_b h.pre.grad[b, j] * x[b, i]",
        ],
        1,
    ),
    "cnn": (
        [
            "a.pre.grad[b, k, p, q] * x[b, c, pad(p + r, 1), pad(q + s, 1)]",
            "m[b, (g, c), pad(2*p + r, 1), pad(q + 2*s, 2)]",
            "x.grad[b, c, pad(p + r, 1), pad(q + s, 1)] += Σ_k a.pre.grad[b, k, p, q]",
        ],
        1,
    ),
    "normalisation": (["m.grad[j] += Σ_b", "m.grad[b] += Σ_j", "norm.mean[j] = 0.9"], 2),
    "residual": (["x_2.grad[l - 1, b, j] += x_2.grad[l, b, j]", "* g[l, b, j]"], 3),
    "recurrence": (
        [
            "scan t:",
            "scan t backwards:",
            "h.grad[b, t - 1, k] += Σ_j s.grad",
            "c.grad[b, t - 1, j] +=",
        ],
        4,
    ),
    "bidirectional": (["g.grad[b, t + 1, k] +=", "f.grad[b, t - 1, k] +="], 1),
    "attention": (["u : u <= t", "E.grad[word[b, t], e] += x.grad[b, t, e]"], 1),
    "embeddings": (["U.grad[others[b, n], d] += wrong.grad[b, n] * V[word[b], d]"], 1),
    "optimizers": (["W.v[i] = 0.9 * W.v[i] + W.grad[i]", "W.m[i] = 0.9", "* normal[a0]"], 5),
    "dropout": (["where(uniform[b, j] >= 0.5"], 2),
    "regularisation": (["W.grad[i] += penalised.grad * 0.05 * (2 * W[i])"], 3),
    "early_stopping": (["v.grad[j] += Σ_b y.grad[b] * h[b, j]"], 1),
    "ctc": (["a.grad[b, t - 1, pad(m, 1, 0)] +=", "where(skip[b, m], a.grad[b, t, m]"], 1),
    "vae": (["log_variance.grad[b, k] +=", "* normal[b, k]"], 1),
    "vqvae": (["C.grad[w[b], k] += word.grad[b, k]", "stop_gradient(word[b, k] - e[b, k])"], 1),
    "gan": (["discriminator.W.grad[j, i] +=", "generator.V.grad[i, j] +="], 1),
    "diffusion": (["T.grad[t[b], j] +=", "noise[b, i] = normal#1[b, i]"], 1),
    "reinforce": (["W.grad[place[b, t - 1]] += chance.grad[b, t]"], 1),
}


def test_every_example_is_looked_at() -> None:
    assert sorted(path.stem for path in COURSE.glob("*.py")) == sorted(EXAMPLES)
    index = (COURSE / "README.md").read_text(encoding="utf-8")
    assert [name for name in EXAMPLES if f"`{name}.py`" not in index] == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", [name])
    runpy.run_path(str(COURSE / f"{name}.py"), run_name="__main__")
    printed = capsys.readouterr().out
    statements, trainings = EXAMPLES[name]
    for statement in statements:
        assert statement in printed
    found = FALLS.findall(printed)
    assert len(found) == trainings
    for before, after in found:
        better = (
            float(after) > float(before) if name == "reinforce" else float(after) < float(before)
        )
        assert better, f"{name}: {before} -> {after}"


def test_what_they_say_in_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(COURSE / "ctc.py"), run_name="__main__")
    printed = capsys.readouterr().out
    heard = re.findall(r"heard (.*), said (.*)", printed)
    both = re.findall(r"of eight examples (.*), by ph.losses.ctc (.*)", printed)
    assert len(heard) == 3 and len(both) == 1
    assert all(one == other for one, other in (*heard, *both))
