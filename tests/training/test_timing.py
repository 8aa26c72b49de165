"""Times of a training step, equation by equation."""

import numpy as np
import pytest

import phistar as ph
from phistar.backends.c.toolchain import find_compiler
from phistar.cli import main
from phistar.training import timing
from phistar.zoo import mnist_mlp


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's limits are measured on small arrays."""
    monkeypatch.setattr(timing, "PEAK_SIZE", 64)
    monkeypatch.setattr(timing, "COPY_SIZE", 2**16)


@pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")
def test_every_part_of_a_step_is_timed(small: None) -> None:
    data = ph.data.Dataset(x=np.zeros((64, 784), "f4"), label=np.zeros(64, "i8"))
    algorithm = ph.compile(
        mnist_mlp.loss, mnist_mlp.MLP(16), optimizer=ph.SGD(0.1), batch=data.spec(32), backend="c"
    )
    times = timing.measure(algorithm, data.columns, np.arange(64).reshape(2, 32))
    assert {nest.part for nest in times.nests} == {"forward", "backward", "update"}
    product = next(nest for nest in times.nests if nest.equations[0].target.tensor.name == "h.pre")
    assert product.flops == 2 * 32 * 16 * 784
    assert product.bytes == 4 * (32 * 16 + 16 * 784 + 32 * 784)
    assert times.memory > 0
    assert times.seconds > 0
    assert all(nest.seconds >= 0 and times.share(nest) >= 0 for nest in times.nests)


@pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")
def test_the_table(small: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["time", "mnist-mlp", "--batch-size", "8", "--steps", "3"]) == 0
    printed = capsys.readouterr().out
    for words in ("h.pre[b, j] += ", "kFLOP", "of limit", "forward", "backward", "update", "GB/s"):
        assert words in printed


def test_the_c_of_a_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "mnist-mlp", "--c"]) == 0
    printed = capsys.readouterr().out
    assert "// h.pre[b, j] += Σ_i W0[j, i] * x[b, i]" in printed
    assert "static void group_1(const struct run *run, long lo, long hi) {" in printed


def test_c_is_no_latex(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "mnist-mlp", "--c", "--latex"]) != 0
    assert "--c is shown as text: leave out --latex" in capsys.readouterr().err
