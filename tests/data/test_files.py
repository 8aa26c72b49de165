"""Readers of files, each against what was written, and what they say of damage."""

import gzip
import io
import json
import os
import tarfile
import wave
import zlib
from pathlib import Path

import numpy as np
import pytest

import phistar as ph
from phistar.data.idx import format_idx
from phistar.errors import DataError

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (7, 3, 4), dtype=np.uint8)
Y = np.arange(7)
ROWS = [5, 0, 5, 2]


def test_npy_stays_on_the_disk(tmp_path):
    np.save(tmp_path / "x.npy", X)
    data = ph.data.npy(x=tmp_path / "x.npy")
    assert isinstance(data.columns["x"].array, np.memmap)
    np.testing.assert_array_equal(data.batch(ROWS)["x"], X[ROWS])


def test_npz(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=X, label=np.asfortranarray(Y))
    data = ph.data.npz(tmp_path / "a.npz")
    np.testing.assert_array_equal(data["x"], X)
    np.testing.assert_array_equal(data["label"], Y)


def test_idx_of_any_rank(tmp_path):
    (tmp_path / "x").write_bytes(gzip.compress(format_idx(X)))
    np.testing.assert_array_equal(ph.data.idx(x=tmp_path / "x")["x"], X)


def test_csv(tmp_path):
    (tmp_path / "a.csv").write_text("a (cm),b,kind\n1,2.5,cat\n3,,ant\n", encoding="utf-8")
    data = ph.data.csv(tmp_path / "a.csv", classes=("kind",))
    assert list(data.columns) == ["a_cm", "b", "kind"]
    np.testing.assert_array_equal(data["a_cm"], [1, 3])
    np.testing.assert_array_equal(data["b"], np.array([2.5, np.nan], np.float32))
    np.testing.assert_array_equal(data["kind"], [1, 0])
    both = ph.data.csv(tmp_path / "a.csv", {"x": ["a (cm)", "b"]}, classes=("kind",))
    assert both["x"].shape == (2, 2)


def test_hdf5(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["deep/y"] = X, Y
    data = ph.data.hdf5(tmp_path / "a.h5", {"x": "x", "y": "deep/y"})
    np.testing.assert_array_equal(data.batch(ROWS)["x"], X[ROWS])
    assert list(ph.data.hdf5(tmp_path / "a.h5").columns) == ["x"]
    with pytest.raises(DataError, match="has no data set 'z'"):
        ph.data.hdf5(tmp_path / "a.h5", {"x": "z"})


def test_parquet(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pa.table({"x": X.reshape(7, -1).tolist(), "label": Y})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    data = ph.data.parquet(tmp_path / "a.parquet")
    np.testing.assert_array_equal(data.batch(ROWS)["x"], X.reshape(7, -1)[ROWS])
    np.testing.assert_array_equal(data["label"], Y)
    with pytest.raises(DataError, match="has no column 'z'"):
        ph.data.parquet(tmp_path / "a.parquet", {"x": "z"})


def test_text_by_characters_bytes_and_tokens(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("abcabcabd", encoding="utf-8")
    data = ph.data.text(path, 3)
    assert data.symbols == "abcd"
    np.testing.assert_array_equal(data["x"], [[0, 1, 2], [0, 1, 2]])
    np.testing.assert_array_equal(data["y"], [[1, 2, 0], [1, 2, 0]])
    assert ph.data.text(path, 3, stride=1).spec(1).examples == 6
    np.testing.assert_array_equal(ph.data.text(path, 8, by="bytes")["y"], [list(b"bcabcabd")])
    tokenizers = pytest.importorskip("tokenizers")
    words = tokenizers.models.WordLevel({"abcabcabd": 1, "?": 0}, unk_token="?")
    tokenizers.Tokenizer(words).save(str(tmp_path / "t.json"))
    assert json.loads((tmp_path / "t.json").read_text())["model"]["type"] == "WordLevel"
    with pytest.raises(DataError, match="has 1 tokens, too few for windows of 3"):
        ph.data.text(path, 3, tokenizer=tmp_path / "t.json")


def test_image_folder(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for n, kind in enumerate(["dog", "ant"]):
        (tmp_path / kind).mkdir()
        image.fromarray(np.full((4, 6, 3), 100 + n, np.uint8)).save(tmp_path / kind / "0.png")
    data = ph.data.image_folder(tmp_path)
    np.testing.assert_array_equal(data["label"], [0, 1])
    np.testing.assert_allclose(data["x"][:, 0, 0, 0], np.float32([101, 100]) / 255, rtol=1e-6)
    assert ph.data.image_folder(tmp_path, (2, 3), grey=True)["x"].shape == (2, 2, 3)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_wav(tmp_path, width):
    (tmp_path / "a").mkdir()
    values = np.array([-0.5, 0.25])
    whole = np.int64(values * 2 ** (8 * width - 1)) + (128 if width == 1 else 0)
    with wave.open(str(tmp_path / "a" / "s.wav"), "wb") as file:
        file.setparams((1, width, 8000, 0, "NONE", ""))
        file.writeframes(
            b"".join(int(v).to_bytes(width, "little", signed=width > 1) for v in whole)
        )
    found = ph.data.wav(tmp_path, 3)["x"]
    np.testing.assert_array_equal(found, np.float32([[[-0.5], [0.25], [0]]]))


def shard(path, files):
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def npy_bytes(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_tar(tmp_path):
    names = [f"../k{n}" for n in Y]  # nothing is unpacked, wherever it says it lies
    files = {f"{k}.npy": npy_bytes(X[n]) for n, k in enumerate(names)}
    files |= {f"{k}.cls": str(n).encode() for n, k in enumerate(names)}
    shard(tmp_path / "a.tar", files | {"lonely.cls": b"1"})
    data = ph.data.tar(tmp_path / "a.tar", columns={"x": "npy", "label": "cls"})
    np.testing.assert_array_equal(data.batch(ROWS)["x"], X[ROWS])
    np.testing.assert_array_equal(data["label"], Y)
    with pytest.raises(DataError, match="no example has all of npy, png"):
        ph.data.tar(tmp_path / "a.tar", columns={"x": "npy", "y": "png"})


def test_sources_and_iterables():
    pairs = [(X[n], int(n)) for n in Y]
    for data in (ph.data.from_source(pairs), ph.data.from_iterable(iter(pairs))):
        np.testing.assert_array_equal(data.batch(ROWS)["x"], X[ROWS])
        np.testing.assert_array_equal(data["label"], Y)
    dicts = ph.data.from_source([{"a": 1.5, "b": 2}], names=("a",))
    assert list(dicts.columns) == ["a"] and dicts["a"].dtype == np.float32


def test_a_pytorch_set():
    torch = pytest.importorskip("torch")
    given = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    np.testing.assert_array_equal(ph.data.from_source(given).batch(ROWS)["x"], X[ROWS])


class Faces:
    """What `datasets` shows of a data set."""

    def with_format(self, kind):
        assert kind == "numpy"
        return [{"x": X[n], "label": n} for n in Y]


def test_from_datasets():
    np.testing.assert_array_equal(ph.data.from_datasets(Faces())["x"], X)


MISTAKES = [
    (lambda p: ph.data.npz(p / "none"), "does not exist"),
    (lambda p: ph.data.csv(p / "bad.csv"), "row 3 has 1 values, but there are 2 columns"),
    (lambda p: ph.data.csv(p / "text.csv"), "has 'u' in row 2, no number"),
    (lambda p: ph.data.csv(p / "text.csv", {"x": "c"}, classes=("b",)), "no column 'c'"),
    (lambda p: ph.data.csv(p / "text.csv", classes=("z",)), "has no column 'z'"),
    (lambda p: ph.data.csv(p / "twice.csv"), "names the columns, each once"),
    (lambda p: ph.data.text(p / "text.csv", 2, symbols="abc"), "not among the 3 symbols"),
    (lambda p: ph.data.text(p / "text.csv", 2, by="words"), "not 'words'"),
    (lambda p: ph.data.text(p / "text.csv", 0), "from 1 on"),
    (lambda p: ph.data.text(p / "text.csv", 99), "too few for windows of 99"),
    (lambda p: ph.data.wav(p, 3), "has no files that end in .wav"),
    (lambda p: ph.data.wav(p / "bad.csv", 3), "is not a folder"),
    (lambda p: ph.data.from_source(iter([])), "see from_iterable"),
    (lambda p: ph.data.from_source([]), "no examples"),
    (lambda p: ph.data.from_source([{"a": 1}], ("b",)), "no example has b"),
    (lambda p: ph.data.from_source([(1, 2, 3)]), "name each of them"),
    (lambda p: ph.data.from_datasets([]), "no data set of the library datasets"),
    (lambda p: ph.data.from_iterable([]), "gave no examples"),
    (lambda p: ph.data.from_iterable([[[1, 2]], [[1]]]), "do not have one form"),
    (lambda p: ph.data.npy(x=p / "bad.csv"), "is damaged or no .npy file"),
]


@pytest.mark.parametrize("act, message", MISTAKES, ids=[m for _, m in MISTAKES])
def test_mistakes(tmp_path, act, message):
    for name, content in {"bad": "a,b\n1,2\n1\n", "text": "a,b\n1,u\n", "twice": "a,a\n"}.items():
        (tmp_path / f"{name}.csv").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        act(tmp_path)


def test_a_library_that_is_missing(monkeypatch):
    from phistar.data.needs import need

    with pytest.raises(DataError, match=r"needs nowhere, .* pip install 'phistar\[data\]'"):
        need("nowhere.at_all", "data")


def seeds(kind):
    """A small whole file."""
    file = io.BytesIO()
    if kind == "idx":
        return format_idx(X)
    if kind == "npy":
        return npy_bytes(X)
    if kind == "npz":
        np.savez_compressed(file, x=X, y=X)
        return file.getvalue()
    if kind == "csv":
        return b"a,b\n" + b"1,2.5\n" * 20
    if kind == "wav":
        with wave.open(file, "wb") as sound:
            sound.setparams((2, 2, 8000, 0, "NONE", ""))
            sound.writeframes(bytes(400))
        return file.getvalue()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in {"a.npy": npy_bytes(X), "a.cls": b"3"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


OPEN = {
    "idx": lambda p: ph.data.idx(x=p)[:2].batch([0]),
    "npy": lambda p: ph.data.npy(x=p).batch([0]),
    "npz": lambda p: ph.data.npz(p).batch([0]),
    "csv": lambda p: ph.data.csv(p).batch([0]),
    "tar": lambda p: ph.data.tar(p, columns={"x": "npy", "y": "cls"}).batch([0]),
    "wav": lambda p: ph.data.wav(p.parent, 50).batch([0]),
}


def mutated(whole, rng):
    """Bytes changed, cut out, doubled, or made extreme."""
    content = bytearray(whole)
    for _ in range(rng.integers(1, 6)):
        at = int(rng.integers(0, max(len(content), 1)))
        act = rng.integers(0, 5)
        if act == 0 and content:
            content[at] = int(rng.integers(0, 256))
        elif act == 1:
            content[at : at + 4] = rng.choice([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"9999"])
        elif act == 2:
            del content[at:]
        elif act == 3:
            content[at:at] = content[at : at + int(rng.integers(1, 64))]
        else:
            del content[at : at + int(rng.integers(1, 64))]
    return bytes(content)


@pytest.mark.parametrize("kind", OPEN)
@pytest.mark.filterwarnings("ignore")
def test_damaged_files_are_read_or_are_data_errors(tmp_path, kind):
    folder = tmp_path / "in" / "a"
    folder.mkdir(parents=True)
    path = folder / f"f.{kind}"
    whole, rng = seeds(kind), np.random.default_rng(zlib.crc32(kind.encode()))
    refused = 0
    count = int(os.environ.get("PHISTAR_FUZZ", 300))
    for n in range(count):
        path.unlink(missing_ok=True)  # a map of the last one may still be open
        path.write_bytes(mutated(whole, rng))
        try:
            OPEN[kind](path)
        except DataError:
            refused += 1
        except Exception as error:
            raise AssertionError(f"mutation {n} of {kind}") from error
    assert refused or kind == "csv"
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == [path.name]


def test_numbers_of_a_csv_stay_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,y\n1.5,inf\n,-inf\n3e38,0.5\n")
    data = ph.data.csv(path)
    assert np.isnan(data.column("x")[1])
    assert data.column("y").tolist() == [np.inf, -np.inf, 0.5]
    path.write_text("x\n1\n-4e38\n")
    with pytest.raises(DataError, match="has -4e38 in row 3, more than f32 can hold"):
        ph.data.csv(path)
