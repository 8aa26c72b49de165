"""PyTorch's files: what it saves is read, of both kinds; what would run something is refused."""

import collections
import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from phistar.errors import WeightsError
from phistar.parameters import read

KINDS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


def tensors(torch: Any) -> dict[str, Any]:
    base = torch.arange(24.0).reshape(4, 6)
    return {
        "base": base,
        "transposed": base.T,
        "sliced": base[1:, ::2],
        "row": base[2],
        "repeated": torch.ones(1).expand(3, 2),
        "empty": torch.zeros(0, 3),
        "number": torch.tensor(7),
        "half": torch.randn(3).half(),
        "brain": torch.randn(3, 2).bfloat16(),
        "brain.T": torch.randn(3, 2).bfloat16().T,
        "double": torch.randn(2, 2, dtype=torch.float64),
        "truth": torch.tensor([[True, False], [True, True]]).T,
        "byte": torch.arange(3, dtype=torch.uint8),
        "i8": torch.arange(-3, 3, dtype=torch.int8)[::2],
        "i16": torch.arange(3, dtype=torch.int16),
        "i32": torch.arange(3, dtype=torch.int32),
        "parameter": torch.nn.Parameter(torch.randn(2)),
        "complex": torch.randn(2, dtype=torch.complex64),
        "channels last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "u16": torch.tensor([1, 65535], dtype=torch.uint16),
    }


@KINDS
def test_what_pytorch_saves_is_read(tmp_path: Path, zipped: bool) -> None:
    torch = pytest.importorskip("torch")
    made = tensors(torch)
    if not zipped:
        del made["u16"]  # a type that is younger than this kind of file
    torch.save(
        collections.OrderedDict(made), tmp_path / "w.pth", _use_new_zipfile_serialization=zipped
    )
    loaded = read(tmp_path / "w.pth")
    assert list(loaded) == list(made)
    for name, tensor in made.items():
        plain = tensor.detach().float() if name.startswith("brain") else tensor.detach()
        assert loaded[name].shape == tuple(tensor.shape)
        assert_array_equal(loaded[name].astype(plain.numpy().dtype), plain.numpy(), err_msg=name)
        if not name.startswith("brain"):
            assert loaded[name].dtype == plain.numpy().dtype, name


@KINDS
def test_a_checkpoint(tmp_path: Path, zipped: bool) -> None:
    """Numbers, words and settings beside the arrays are left out; places in lists are names."""
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(4, 3)).sum().backward()
    optimizer.step()
    checkpoint = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": 3,
        "name": "net",
        "seen": {1, 2},
        "best": np.float64(0.5),
        "size": torch.Size([2]),
        "type": torch.float32,
        "device": torch.device("cpu"),
        "history": [torch.ones(1), np.arange(6).reshape(2, 3).T],
        "defaults": collections.defaultdict(dict, a=torch.zeros(2)),
    }
    path = tmp_path / "w.pth"
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    loaded = read(path)
    assert [n for n in loaded if n.startswith("model.")] == [
        f"model.{n}" for n in model.state_dict()
    ]
    assert {"optimizer.state.0.exp_avg", "history.0", "history.1", "defaults.a"} < set(loaded)
    assert not {"epoch", "name", "best", "size"} & set(loaded)
    assert_array_equal(loaded["history.1"], np.arange(6).reshape(2, 3).T)
    assert_array_equal(loaded["model.0.weight"], model[0].weight.detach().numpy())


@KINDS
def test_one_tensor_is_called_as_its_file(tmp_path: Path, zipped: bool) -> None:
    torch = pytest.importorskip("torch")
    torch.save(torch.ones(3), tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    assert_array_equal(read(tmp_path / "w.pt")["w"], np.ones(3))


@KINDS
def test_a_shared_storage_is_read_once(tmp_path: Path, zipped: bool) -> None:
    torch = pytest.importorskip("torch")
    base = torch.arange(1000.0)
    parts = {f"p{n}": base[n:] for n in range(100)}
    torch.save(parts, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    loaded = read(tmp_path / "w.pth")
    assert np.shares_memory(loaded["p0"], loaded["p99"])
    assert_array_equal(loaded["p99"], np.arange(99.0, 1000))


def test_numbers_with_their_high_byte_first(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"W": torch.tensor([1.0, 2.0])}, tmp_path / "little.pth")
    with (
        zipfile.ZipFile(tmp_path / "little.pth") as old,
        zipfile.ZipFile(tmp_path / "big.pth", "w") as new,
    ):
        for name in old.namelist():
            data = old.read(name)
            data = b"big" if name.endswith("byteorder") else data
            data = np.frombuffer(data, "<f4").astype(">f4").tobytes() if "data/" in name else data
            new.writestr(name, data)
    assert_array_equal(read(tmp_path / "big.pth")["W"], [1, 2])


@KINDS
def test_a_whole_model_is_refused_by_name(tmp_path: Path, zipped: bool) -> None:
    torch = pytest.importorskip("torch")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    what = (
        r"w\.pth is not read: .*asks for torch\.nn\.modules\.linear\.Linear: only arrays are read"
    )
    with pytest.raises(WeightsError, match=what):
        read(tmp_path / "w.pth")


class Call:
    """An object whose pickle calls a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return self.function, self.arguments


def zip_of(path: Path, pickled: bytes, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", pickled)
        for name, data in members.items():
            archive.writestr(f"a/data/{name}", data)
    return path


def row_of(path: Path, pickled: bytes, keys: Any = (), storages: bytes = b"") -> Path:
    numbers = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    parts = [*(pickle.dumps(n, 2) for n in numbers), pickled, pickle.dumps(list(keys), 2)]
    path.write_bytes(b"".join(parts) + storages)
    return path


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("make", [zip_of, row_of])
def test_nothing_is_run(tmp_path: Path, make: Any, protocol: int) -> None:
    mark = tmp_path / "was-run"
    for bad in (
        Call(os.mkdir, str(mark)),
        Call(eval, f"__import__('os').mkdir({str(mark)!r})"),
        Call(getattr, np.ndarray, "tofile"),
    ):
        path = make(tmp_path / "w.pth", pickle.dumps({"W": bad}, protocol))
        with pytest.raises(WeightsError, match=r"asks for .*(mkdir|eval|getattr): only arrays"):
            read(path)
    assert not mark.exists()


def test_a_pickle_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(WeightsError, match="it is a pickle, but not one of PyTorch"):
        read(tmp_path / "w")
    (tmp_path / "w").write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(7, 2))
    with pytest.raises(WeightsError, match="its version is not known"):
        read(tmp_path / "w")


# Pickles by hand --------------------------------------------------------------------------------

FLOATS = b"ctorch\nFloatStorage\n"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"


def storage(count: int = 4, key: bytes = b"0", more: bytes = b"") -> bytes:
    """A persistent id."""
    return b"(X\x07\0\0\0storage" + FLOATS + word(key) + word(b"cpu") + number(count) + more + b"tQ"


def word(text: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text


def number(n: int) -> bytes:
    return b"J" + struct.pack("<i", n) if -(2**31) <= n < 2**31 else b"I%d\n" % n


def sizes(*numbers: int) -> bytes:
    return b"(" + b"".join(map(number, numbers)) + b"t"


def tensor(
    shape: bytes = sizes(2, 2),
    strides: bytes = sizes(2, 1),
    start: bytes = number(0),
    of: bytes | None = None,
    more: bytes = b"",
) -> bytes:
    of = storage() if of is None else of
    return REBUILD + b"(" + of + start + shape + strides + b"\x89N" + more + b"tR"


def named(value: bytes) -> bytes:
    return b"\x80\x02}" + word(b"W") + value + b"s."


def test_a_tensor_by_hand(tmp_path: Path) -> None:
    data = np.arange(4, dtype="<f4").tobytes()
    for path in (
        zip_of(tmp_path / "w.pth", named(tensor()), **{"0": data}),
        row_of(
            tmp_path / "r.pth",
            named(tensor(of=storage(more=b"N"))),
            ["0"],
            (4).to_bytes(8, "little") + data,
        ),
    ):
        assert_array_equal(read(path)["W"], [[0, 1], [2, 3]])


def test_a_part_of_a_storage(tmp_path: Path) -> None:
    part = b"(" + word(b"v") + number(1) + number(3) + b"t"
    rows = named(tensor(of=storage(more=part), shape=sizes(2), strides=sizes(2)))
    data = (4).to_bytes(8, "little") + np.arange(4, dtype="<f4").tobytes()
    assert_array_equal(read(row_of(tmp_path / "w", rows, ["0"], data))["W"], [1, 3])


def array(state: bytes) -> bytes:
    made = b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + sizes(0) + b"C\x01btR"
    return made + state + b"b"


def dtype(name: bytes) -> bytes:
    return b"cnumpy\ndtype\n(" + word(name) + b"\x89\x88tR"


INNER = b"]q\x00" + b"(" + b"h\x00" * 9 + b"e"  # a list that holds itself nine times
HUGE = 2**62
# fmt: off
DAMAGED = {
    "outside":            (tensor(sizes(2, 3), sizes(2, 1)),      "elements outside its storage"),
    "far outside":        (tensor(sizes(2), sizes(2**40)),        "elements outside its storage"),
    "begins outside":     (tensor(start=number(9)),               "elements outside its storage"),
    "negative offset":    (tensor(start=number(-1)),              "strides are not right"),
    "negative stride":    (tensor(strides=sizes(-2, 1)),          "strides are not right"),
    "negative size":      (tensor(sizes(-1, 2)),                  "is not made of sizes"),
    "huge size":          (tensor(sizes(HUGE, 1), sizes(0, 0)),   "larger than any memory"),
    "repeated":           (tensor(sizes(2**30, 1), sizes(0, 0)),  "repeats its elements too often"),
    "fewer strides":      (tensor(strides=sizes(1)),              "strides are not right"),
    "no shape":           (tensor(shape=b"N"),                    "of a tensor is not one"),
    "no storage":         (tensor(of=b"N"),                       "a tensor has no storage"),
    "conjugated":         (tensor(more=b"}" + word(b"conj") + b"\x88s"), "conjugated or negated"),
    "missing storage":    (tensor(of=storage(key=b"7")),          "member a/data/7 is missing"),
    "outside the zip":    (tensor(of=storage(key=b"../../x")),    "x is missing"),
    "longer storage":     (tensor(of=storage(2**40)),             "member a/data/0 is too short"),
    "two lengths":        (b"(" + tensor() + tensor(of=storage(3)) + b"t", "two types or lengths"),
    "abstract dict":      (b"}]a",                                "appends to what is no list"),
    "no id":              (b"NQ",                                 "refers to what is no storage"),
    "short id":           (b"(" + word(b"storage") + b"tQ",       "refers to what is no storage"),
    "id of no type":      (b"(" + word(b"storage") + b"NNNNtQ",   "refers to what is no storage"),
    "empty stack":        (b"0000000",                            "takes what is not there"),
    "no mark":            (b"t",                                  "takes what is not there"),
    "unknown place":      (b"h\x09",                              "recalls what it never kept"),
    "unknown step":       (b"\x82\x01",                           "instruction EXT1"),
    "next buffer":        (b"\x97",                               "instruction NEXT_BUFFER"),
    "no pickle":          (b"\xff",                               "its pickle cannot be read"),
    "calls a word":       (word(b"os") + b")R",                   "calls what cannot be called"),
    "calls nothing":      (b"(o",                                 "its pickle calls nothing"),
    "names a number":     (b"K\x01K\x02\x93",                     "something that has no name"),
    "state of a list":    (b"]}b",                                "a state to what has none"),
    "append to a dict":   (b"}Na",                                "appends to what is no list"),
    "items of a list":    (b"]NNs",                               "gives items to what is no dict"),
    "key a list":         (b"}]Ns",                               "keys are not words or numbers"),
    "key a tuple":        (b"})Ns",                               "keys are not words or numbers"),
    "key too long":       (b"}\x8a\x09" + b"\x01" * 9 + b"Ns",    "keys are not words or numbers"),
    "add to a list":      (b"](N\x90",                            "adds to what is no set"),
    "pairs that are none": (b"ccollections\nOrderedDict\n]Na\x85R", "what are no pairs"),
    "inside itself":      (INNER,                                 "inside itself"),
    "many digits":        (b"I" + b"9" * 5000 + b"\n",            "its pickle cannot be read"),
    "wrong arguments":    (b"ctorch\nSize\n(NNNtR",               "its pickle cannot be read"),
    "deep name":          (b"}" + word(b"x" * 600) + tensor() + b"s", "a name that is too long"),
    "type of objects":    (dtype(b"O8"),                          "does not hold numbers"),
    "type of records":    (dtype(b"f4,f4"),                       "does not hold numbers"),
    "huge type":          (dtype(b"V999999999"),                  "does not hold numbers"),
    "state of a type":    (dtype(b"f4") + b")b",                  "an array's type is not one"),
    "no values":          (array(b"")[:-1],                       "an array has no values"),
    "state of an array":  (array(b")"),                           "an array's state is not one"),
    "too few bytes":      (array(b"(K\x01" + sizes(9) + dtype(b"f4") + b"\x89C\x01\0t"),
                                                                  "other bytes than it needs"),
    "no bytes":           (array(b"(K\x01" + sizes(9) + dtype(b"f4") + b"\x89]t"),
                                                                  "does not hold numbers"),
    "encodes a list":     (b"c_codecs\nencode\n(]" + word(b"latin1") + b"tR",
                                                                  "encodes what are no bytes"),
    "copied often":       (word(b"x" * 9000) + b"q\x000" + b"".join(
                            b"c_codecs\nencode\nh\x00\x85R0" for _ in range(99)) + b"N",
                                                                  "copies what it holds too often"),
    "made by none":       (b"ctorch._tensor\n_rebuild_from_type_v2\n(NNNNtR", "by what makes none"),
    "type that is none":  (b"ctorch._utils\n_rebuild_tensor_v3\n(" + storage() + number(0)
                            + sizes(1) + sizes(1) + b"\x89NNtR",  "has a type that is not read"),
}
# fmt: on


@pytest.mark.parametrize("name", DAMAGED)
def test_damage(tmp_path: Path, name: str) -> None:
    value, reason = DAMAGED[name]
    path = zip_of(tmp_path / "w.pth", named(value), **{"0": b"\0" * 16})
    with pytest.raises(WeightsError, match=f"is not a file of PyTorch, or damaged: .*{reason}"):
        read(path)


ROW = named(tensor(of=storage(more=b"N")))
LENGTH = (4).to_bytes(8, "little")
# fmt: off
DAMAGED_ROWS = {
    "no end":           (ROW[:-1] + b"(", ["0"], b"",                 "pickle"),
    "no keys":          (ROW, [], b"",                                "names others than"),
    "other keys":       (ROW, ["1"], LENGTH + b"\0" * 16,             "names others than"),
    "keys of no words": (ROW, [1], LENGTH + b"\0" * 16,               "storages is not one"),
    "cut short":        (ROW, ["0"], LENGTH + b"\0" * 15,             "shorter than it says"),
    "another length":   (ROW, ["0"], b"\x05" + LENGTH[1:] + b"\0" * 99, "shorter than it says"),
    "part outside":     (named(tensor(of=storage(more=b"(NK\x02K\x03t"))), ["0"], LENGTH,
                                                                      "is outside it"),
    "no part":          (named(tensor(of=storage(more=b")"))), ["0"], LENGTH, "no storage"),
    "part of no sizes": (named(tensor(of=storage(more=b"(NNNt"))), ["0"], LENGTH, "no storage"),
    "twice":            (b"\x80\x02}(K\x01" + tensor(of=storage(more=b"N")) + word(b"1")
                         + tensor(of=storage(more=b"N")) + b"u.", ["0"], LENGTH + b"\0" * 16,
                                                                      "it holds 1 twice"),
}
# fmt: on


@pytest.mark.parametrize("name", DAMAGED_ROWS)
def test_damage_in_rows(tmp_path: Path, name: str) -> None:
    pickled, keys, storages, reason = DAMAGED_ROWS[name]
    path = row_of(tmp_path / "w.pth", pickled, keys, storages)
    with pytest.raises(WeightsError, match=f"is not a file of PyTorch, or damaged: .*{reason}"):
        read(path)


ORDERED = b"ccollections\nOrderedDict\n"
# fmt: off
OTHERS = {
    "frozen set": b"(K\x01K\x02\x91",        "set":       b"\x8f(K\x01\x90",
    "object":     b"(" + ORDERED + b"o",      "instance":  b"(i" + ORDERED[1:],
    "new":        ORDERED + b")\x81",         "pairs":     ORDERED + b"]K\x01K\x02\x86a\x85R",
    "doubled":    b"N20",                     "dropped":   b"N(K\x011",
    "mark":       b"N(0",                     "list":      b"(K\x01K\x02l",
    "dict":       b"(K\x01K\x02d",            "a state":   ORDERED + b")R}b",
}
# fmt: on


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_array_is_left_out(tmp_path: Path, name: str) -> None:
    """Also by instructions that PyTorch does not write."""
    pickled = b"\x80\x04}" + word(b"v") + OTHERS[name] + b"s" + word(b"W") + tensor() + b"s."
    path = zip_of(tmp_path / "w.pth", pickled, **{"0": np.arange(4, dtype="<f4").tobytes()})
    loaded = read(path)
    assert list(loaded) == ["W"]
    assert_array_equal(loaded["W"], [[0, 1], [2, 3]])


def test_a_storage_of_truths_is_not_copied_without_end(tmp_path: Path) -> None:
    """Truths and, without their package, brain floats are made anew in memory."""
    torch = pytest.importorskip("torch")
    base = torch.zeros(100_000, dtype=torch.bool)
    torch.save({f"p{n}": base for n in range(5)}, tmp_path / "w.pth")
    assert len(read(tmp_path / "w.pth")) == 5
    torch.save({f"p{n}": base for n in range(50)}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="its tensors repeat what it holds too often"):
        read(tmp_path / "w.pth")


def test_numpys_own_pickles_of_protocol_5(tmp_path: Path) -> None:
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.ones((2, 3), order="F"), "c": np.ones(0)}
    loaded = read(zip_of(tmp_path / "w.pth", pickle.dumps(arrays, 5)))
    for name, array in arrays.items():
        assert_array_equal(loaded[name], array)


def test_tensors_of_a_subclass(tmp_path: Path) -> None:
    plain = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage() + number(0) + sizes(2) + sizes(2)
    parts = plain.replace(REBUILD + b"(", REBUILD + b"ctorch\nTensor\n(", 1) + b"\x89Nt}t"
    path = zip_of(
        tmp_path / "w.pth",
        named(b"ctorch._tensor\n_rebuild_from_type_v2\n(" + parts + b"R"),
        **{"0": np.arange(4, dtype="<f4").tobytes()},
    )
    assert_array_equal(read(path)["W"], [0, 2])


def test_a_storage_where_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b"\x80\x02" + b"NQ.")
    with pytest.raises(WeightsError, match="a storage stands where there is none"):
        read(tmp_path / "w")


def test_long_pickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phistar.parameters.pickles.MOST_STEPS", 100)
    with pytest.raises(WeightsError, match="longer than that of any weights"):
        read(zip_of(tmp_path / "w.pth", named(b"N0" * 100 + b"N")))
    monkeypatch.setattr("phistar.parameters.pytorch.LONGEST_PICKLE", 100)
    with pytest.raises(WeightsError, match="longer than that of any weights"):
        read(zip_of(tmp_path / "w.pth", named(b"N0" * 100 + b"N")))


def test_a_legacy_file_that_becomes_shorter(tmp_path: Path) -> None:
    from phistar.parameters.formats import stored

    path = row_of(tmp_path / "w.pth", ROW, ["0"], LENGTH + b"\0" * 16)
    entries = stored(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Exception, match="it has become shorter"):
        entries["W"].read()


def test_old_pickles_hold_bytes_as_words(tmp_path: Path) -> None:
    class Old(pickle._Pickler):
        pass

    buffer = io.BytesIO()
    Old(buffer, 2).dump(
        {"a": np.arange(6, dtype=">i4").reshape(2, 3), "b": np.ones((2, 2), order="F")}
    )
    loaded = read(zip_of(tmp_path / "w.pth", buffer.getvalue()))
    assert_array_equal(loaded["a"], np.arange(6).reshape(2, 3))
    assert_array_equal(loaded["b"], np.ones((2, 2)))
