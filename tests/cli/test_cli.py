"""The command line, run within this process on small data of the right form."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import phistar as ph
from phistar import compiler
from phistar.cli import info, main, parsing, recipes
from phistar.cli import train as training
from phistar.data import Dataset

Run = Any


def digits(examples: int, seed: int) -> Dataset:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 10, examples)
    patterns = np.random.default_rng(1).random((10, 784))
    x = np.clip(patterns[label] + 0.1 * rng.normal(size=(examples, 784)), 0, 1)
    return Dataset(x=x.astype(np.float32), label=label)


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe on small data, in a folder of its own."""
    small = (digits(200, 0), digits(60, 2))
    own = replace(recipes.RECIPES["mnist-mlp"], data=lambda: small, rate=0.1)
    monkeypatch.setitem(recipes.RECIPES, "mnist-mlp", own)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PHISTAR_DEBUG", raising=False)


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    status = main(argv)
    return status, *capsys.readouterr()


def test_train_leaves_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    status, out, err = run(capsys, "train", "mnist-mlp", "--epochs", "3", "--batch-size", "32")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("mnist-mlp: 200 examples to train on, 60 to test on; SGD(rate=0.1)")
    assert "epoch 3/3" in lines[3]
    assert lines[5] == "test accuracy 100.00 %"
    (folder,) = Path("runs").iterdir()
    assert [line.split()[-1] for line in lines[-3:]] == [
        str(folder / name) for name in ("model.safetensors", "algorithm.txt", "plot.png")
    ]
    source = (folder / "algorithm.txt").read_text()
    assert "for epoch < 3:" in source and "W0[j, i] += -0.1 * W0.grad[j, i]" in source
    record = json.loads((folder / "run.json").read_text())
    assert record["recipe"] == "mnist-mlp" and record["settings"]["batch_size"] == 32
    assert [e["epoch"] for e in record["epochs"]] == [1, 2, 3]


def test_eval_finds_what_train_left(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "train", "mnist-mlp", "--batch-size", "32", "--out", "runs/mnist-mlp-mine")
    for argv in (
        ["runs/mnist-mlp-mine"],
        ["mnist-mlp"],
        ["mnist-mlp", "--weights", "runs/mnist-mlp-mine/model.safetensors"],
    ):
        status, out, _ = run(capsys, "eval", *argv)
        assert status == 0
        assert out.splitlines()[1] == "test accuracy 100.00 %"


def test_predict_writes_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "train", "mnist-mlp", "--epochs", "1", "--out", "runs/one")
    status, out, _ = run(capsys, "predict", "runs/one", "--out", "P.npy")
    assert (status, out) == (0, "P.npy: float32 (60, 10), a row for each of 60 examples\n")
    assert np.load("P.npy").shape == (60, 10)


def test_a_run_is_replaced_but_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert run(capsys, "train", "mnist-mlp", "--epochs", "1", "--out", "here")[0] == 0
    Path("here/thesis.tex").touch()
    status, _, err = run(capsys, "train", "mnist-mlp", "--out", "here")
    assert status == 2
    assert err == "phistar: here holds thesis.tex, which is no run's: choose another --out\n"
    status, _, err = run(capsys, "train", "mnist-mlp", "--out", "here/thesis.tex")
    assert (status, err) == (2, "phistar: here/thesis.tex is a file; --out names a folder\n")
    status, _, err = run(capsys, "train", "mnist-mlp", "--out", "here/thesis.tex/run")
    assert status == 2
    assert "the folder here/thesis.tex/run cannot be made" in err


def test_two_runs_in_one_second_stay_apart(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        run(capsys, "train", "mnist-mlp", "--epochs", "0")
    assert len(list(Path("runs").iterdir())) == 3


def test_without_matplotlib(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    status, out, _ = run(capsys, "train", "mnist-mlp", "--epochs", "1", "--out", "here")
    assert status == 0
    assert out.splitlines()[-1] == (
        "plot    none: the plot needs the package matplotlib: pip install 'phistar[plot]'"
    )
    assert Path("here/model.safetensors").exists()


def test_ctrl_c_keeps_what_there_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: Any, **settings: Any) -> Any:
        settings["callbacks"] = [pressing]
        return ph.fit(*args, **settings)

    def pressing(history: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "fit", interrupted)
    status, out, err = run(capsys, "train", "mnist-mlp", "--out", "here")
    assert status == 130
    assert err.startswith("phistar: stopped by Ctrl-C after 2 steps; the parameters are those")
    assert "model   here/model.safetensors" in out
    assert Path("here/model.safetensors").exists()


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "show", "mnist-mlp")
    assert status == 0
    assert out.startswith("h[b, j] = relu(Σ_i W0[j, i] * x[b, i] + b0[j])\n")
    assert ".grad" not in out
    status, out, _ = run(capsys, "show", "mnist-mlp", "--backward", "--batch-size", "4")
    assert "W0.grad[j, i] += Σ_b h.pre.grad[b, j] * x[b, i]\n" in out
    status, out, _ = run(capsys, "show", "mnist-mlp", "--algorithm")
    assert "for epoch < 10:" in out and "# update" in out


def test_show_latex(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("phistar.ir.latex")
    status, out, _ = run(capsys, "show", "mnist-mlp", "--latex", "--backward")
    assert status == 0
    assert r"\sum" in out


def test_info(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "my-cc")
    monkeypatch.setattr(info, "find_spec", lambda name: None)
    monkeypatch.setitem(info.NEEDS, "xla", ("jax", "phistar[xla]"))
    status, out, _ = run(capsys, "info")
    assert status == 0
    titles = [line for line in out.splitlines() if not line.startswith(" ")]
    assert titles == ["versions", "backends", "C compilers", "folders", "threads"]
    assert "numpy                  found, the default" in out
    assert "xla                    needs jax: pip install 'phistar[xla]'" in out
    assert "$CC                    my-cc" in out


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert "phistar show mnist-mlp --backward" in said(capsys, "--help")
    assert "phistar show mnist-mlp --backward" in said(capsys)
    for command in ("train", "eval", "predict", "show", "info"):
        text = said(capsys, command, "--help")
        assert text.startswith(f"usage: phistar {command}")
    assert "model.safetensors" in said(capsys, "train", "--help")
    assert said(capsys, "--version") == f"phistar {ph.__version__}\n"


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    assert stopped.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["tran"], "there is no command 'tran': did you mean train?"),
        (["fly"], "there is no command 'fly': "
         "there is train, eval, predict, show, check, verify-resume, time, export, data, info"),
        (["train"], "the following arguments are required: RECIPE (see phistar train --help)"),
        (["train", "mnist-mpl"], "there is no recipe 'mnist-mpl': did you mean mnist-mlp?"),
        (["train", "mnist-mlp", "--epoch", "3"],
         "there is no option --epoch: did you mean --epochs?"),
        (["train", "mnist-mlp", "x"], "'x' is one word too many (see phistar train --help)"),
        (["train", "mnist-mlp", "--epochs", "x"],
         "argument --epochs: wants a whole number from 0 on, not x (see phistar train --help)"),
        (["train", "mnist-mlp", "--backend", "nunpy"],
         "argument --backend: there is no 'nunpy': did you mean numpy? (see phistar train --help)"),
        (["train", "mnist-mlp", "--lr", "-1"],
         "the rate of SGD must be a positive number, not -1.0"),
        (["train", "mnist-mlp", "--epochs", "-1"],
         "argument --epochs: wants a whole number from 0 on, not -1 (see phistar train --help)"),
        (["train", "mnist-mlp", "--seed", "-1"],
         "argument --seed: wants a whole number from 0 on, not -1 (see phistar train --help)"),
        (["show", "mnist-mlp", "--batch-size", "0"],
         "argument --batch-size: wants a whole number from 1 on, not 0 (see phistar show --help)"),
        (["show", "mnist-mlp", "--latex", "--algorithm"],
         "--algorithm is shown as text: leave out --latex"),
        (["eval", "mnist-mlp"], "there is no run of mnist-mlp under runs/: train one, "
         "phistar train mnist-mlp, or give --weights"),
        (["eval", "runs/none"], "there is no folder runs/none"),
        (["--loud"], "the following arguments are required: COMMAND (see phistar --help)"),
    ],
)  # fmt: skip
def test_mistakes(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, *argv)
    assert (status, out, err) == (2, "", f"phistar: {message}\n")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (None, "run is no run: it has no run.json"),
        ("{", "run/run.json is damaged: it is not JSON"),
        ("[]", "run/run.json is damaged: it names no recipe"),
        ('{"recipe": "mnist-mlp"}', "there is no file run/model.safetensors"),
    ],
)
def test_damaged_runs(record: str | None, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("run").mkdir()
    if record is not None:
        Path("run/run.json").write_text(record)
    assert run(capsys, "eval", "run") == (1, "", f"phistar: {message}\n")


def test_debugging_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHISTAR_DEBUG", "1")
    with pytest.raises(ph.UsageError, match="there is no recipe 'zzz'"):
        main(["train", "zzz"])


def test_every_backend_may_be_named() -> None:
    assert [parsing.backend(name) for name in compiler.BACKENDS] == list(compiler.BACKENDS)


def small_images(name: str, flat: bool = True) -> tuple[Dataset, Dataset]:
    both = digits(20, 0), digits(10, 1)
    return both if flat else tuple(map(square, both))  # type: ignore[return-value]


def square(data: Dataset) -> Dataset:
    x = data.batch(slice(None))["x"].reshape(-1, 28, 28)
    return Dataset(x=x, label=data.batch(slice(None))["label"])


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_the_form_of_the_examples_is_that_of_the_data(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phistar.data.images.image_set", small_images)
    monkeypatch.setattr("phistar.cli.recipes.texts.shakespeare", lambda: "To be or not\n" * 200)
    recipe = recipes.RECIPES[name]
    for data in recipe.data():
        assert recipe.example(3).spec(3).columns == data.spec(3).columns


def test_training_begins_with_weights(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "train", "mnist-mlp", "--batch-size", "32", "--out", "runs/first")
    weights = "runs/first/model.safetensors"
    status, out, _ = run(
        capsys, "train", "mnist-mlp", "--epochs", "0", "--weights", weights, "--out", "runs/next"
    )
    assert status == 0 and out.splitlines()[0] == "4 matched"
    assert Path("runs/next/model.safetensors").read_bytes() == Path(weights).read_bytes()
    status, _, err = run(capsys, "train", "mnist-mlp", "--weights", "none.safetensors")
    assert status == 1 and "none.safetensors" in err


def test_export_of_a_training_and_of_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "export", "mnist-mlp", "--out", "c", "--epochs", "1")
    assert status == 0 and "build it with: cd c && cc -O3 *.c -lm" in out
    assert (Path("c") / "train.c").is_file() and "main.c" in out
    run(capsys, "train", "mnist-mlp", "--epochs", "1", "--out", "runs/one")
    status, out, _ = run(capsys, "export", "runs/one", "--out", "p", "--batch-size", "4")
    assert status == 0 and (Path("p") / "predict.c").is_file()
    status, _, err = run(capsys, "export", "mnist-mlp", "--out", "q", "--batch-size", "1000")
    assert (status, err) == (
        2,
        "phistar: mnist-mlp has 200 examples, fewer than a batch of 1000\n",
    )
