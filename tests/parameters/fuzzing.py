"""Files of weights with random damage, and what reading them may do: give arrays, or WeightsError.

Damage is done to bytes, and also inside: to the header of a safetensors file, to the members of a
zip with its sums made right again, to the instructions of a pickle.
"""

import io
import json
import pickletools
import random
import re
import signal
import sys
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from phistar.errors import WeightsError
from phistar.parameters import read, write

SECONDS = 5  # for any one file of a few kilobytes
MEMORY = 64 << 20  # likewise

Sample = Callable[[Path], bytes]
Damage = Callable[[bytes, random.Random], bytes]

SIZES = [0, 1, 2, 3, 7, 8, 9, 255, 256, 65535, 2**31 - 1, 2**31, 2**32, 2**53, 2**62, 2**63, 2**64]


# Samples ----------------------------------------------------------------------------------------


def arrays() -> dict[str, Any]:
    a = np.arange(12, dtype=np.float32).reshape(3, 4)
    return {"W": a, "b": np.ones(4), "n": np.array(3), "half": a.astype("f2").T, "e": a[:0]}


def safetensors_sample(folder: Path) -> bytes:
    write(folder / "sample", arrays(), metadata={"format": "pt"})
    return (folder / "sample").read_bytes()


def pth_sample(folder: Path, zipped: bool) -> bytes:
    import torch

    a = torch.arange(12.0).reshape(3, 4)
    state = {"W": a, "t": a.T[1:], "b": a.bfloat16(), "n": np.arange(3), "step": 3, "l": [a, {}]}
    buffer = io.BytesIO()
    torch.save({"model": state}, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def npz_sample(folder: Path, save: Callable[..., None]) -> bytes:
    buffer = io.BytesIO()
    save(buffer, **arrays())
    return buffer.getvalue()


def npy_sample(folder: Path) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, arrays()["W"])
    return buffer.getvalue()


def h5_sample(folder: Path) -> bytes:
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, array in arrays().items():
            file.create_dataset(f"layers/{name}/vars/0", data=array)
        file.create_dataset("c", data=np.arange(99).reshape(9, 11), chunks=(3, 4), compression=1)
        file["c"].attrs["dtype"] = "float32"
    return buffer.getvalue()


def keras_sample(folder: Path) -> bytes:
    return zipped({"config.json": b"{}", "model.weights.h5": h5_sample(folder)})


def index_sample(folder: Path) -> bytes:
    write(folder / "sample", arrays())
    places = dict.fromkeys(arrays(), "sample")
    return json.dumps({"metadata": {"total_size": 99}, "weight_map": places}).encode()


def rewritten(data: bytes, rng: random.Random) -> bytes:
    """A JSON file with another number, word or entry."""
    names = ["../sample", "/etc/passwd", "..", "", "sample/../../x", "C:\\x", "a\0b", "other"]
    text = data.decode()
    if rng.random() < 0.5:
        return text.replace("sample", rng.choice(names), rng.randint(1, 5)).encode()
    return rng.choice([renumbered, restructured])(text, rng).encode()


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


# Damage -----------------------------------------------------------------------------------------


def flipped(data: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, most of them near the beginning or the end."""
    made = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        place = rng.choice([rng.randrange(len(made)), rng.randrange(min(400, len(made)))])
        place = rng.choice([place, len(made) - 1 - place])
        made[place] = rng.choice([0, 1, 127, 128, 255, rng.randrange(256), made[place] ^ 1])
    return bytes(made)


def cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def spliced(data: bytes, rng: random.Random) -> bytes:
    """A piece removed, doubled, or moved."""
    a, b = sorted(rng.randrange(len(data)) for _ in range(2))
    c = rng.randrange(len(data))
    return rng.choice([data[:a] + data[b:], data[:b] + data[a:], data[:c] + data[a:b] + data[c:]])


def resized(data: bytes, rng: random.Random) -> bytes:
    """A number of two, four or eight bytes becomes another."""
    width = rng.choice([2, 4, 8])
    place = rng.randrange(max(1, len(data) - width))
    value = rng.choice(SIZES) % 2 ** (8 * width)
    return (
        data[:place] + value.to_bytes(width, rng.choice(["little", "big"])) + data[place + width :]
    )


def reheaded(data: bytes, rng: random.Random) -> bytes:
    """A safetensors header with another number, word or order, its length made right again."""
    length = int.from_bytes(data[:8], "little")
    text, rest = data[8 : 8 + length].decode().rstrip(), data[8 + length :]
    for _ in range(rng.randint(1, 3)):
        text = rng.choice([renumbered, reworded, restructured])(text, rng)
    header = text.encode()
    return len(header).to_bytes(8, "little") + header + rest


def renumbered(text: str, rng: random.Random) -> str:
    found = list(re.finditer(r"\d+", text))
    if not found:
        return text
    place = rng.choice(found)
    value = rng.choice([*map(str, SIZES), "-1", "1.5", "1e400", "NaN", "true", "null", "9" * 5000])
    return text[: place.start()] + value + text[place.end() :]


def reworded(text: str, rng: random.Random) -> str:
    words = ["dtype", "shape", "data_offsets", "F32", "F64", "BF16", "F4", "__metadata__", "W", ""]
    return text.replace(rng.choice(words[:-1]), rng.choice(words), rng.choice([1, -1]))


def restructured(text: str, rng: random.Random) -> str:
    """An entry lost, doubled under another name, or of another kind."""
    try:
        header = json.loads(text)
        name = rng.choice(list(header))
    except (ValueError, IndexError, TypeError, RecursionError):
        return text
    match rng.randrange(4):
        case 0:
            del header[name]
        case 1:
            header["copy"] = header[name]
        case 2:
            header[name] = rng.choice([3, [], {}, "x", None, [[[]]], {"shape": [2]}])
        case 3 if isinstance(header[name], dict):
            key = rng.choice(list(header[name]) or ["x"])
            header[name][key] = rng.choice([0, [], [0], [2**62] * 3, [1] * 70, "F8_E4M3", None])
    return json.dumps(header)


def inside(data: bytes, rng: random.Random) -> bytes:
    """A zip whose members are damaged, with right sums."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice([n for n in members if members[n]])
    how = rng.choice([flipped, cut, spliced, resized])
    if name.endswith(".pkl"):
        how = rng.choice([how, instructed])
    members[name] = how(members[name], rng)
    if rng.random() < 0.1:
        del members[rng.choice(list(members))]
    return zipped(members)


def instructed(data: bytes, rng: random.Random) -> bytes:
    """A pickle, or several, with instructions lost, doubled, moved or made."""
    parts, rest = instructions(data)
    if len(parts) < 3:
        return flipped(data, rng)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(parts))
        new = rng.choice(
            [
                rng.choice(parts),
                b"",
                parts[place] * 2,
                bytes([rng.choice(b"()]}.0123NRQbcdeahjKMJtus\x81\x85\x86\x87\x88\x90\x93\x94")]),
                b"cos\nsystem\n",
                b"\x8a\x08" + rng.choice(SIZES[:-2]).to_bytes(8, "little"),
                b"J" + rng.randbytes(4),
                b"h" + rng.randbytes(1),
                b"X" + rng.choice(SIZES[:12]).to_bytes(4, "little"),
            ]
        )
        parts[place : place + rng.choice([0, 1])] = [new]
    return b"".join(parts) + rest


def instructions(data: bytes) -> tuple[list[bytes], bytes]:
    """The instructions of the pickles that data begin with, and what comes after."""
    parts: list[bytes] = []
    file = io.BytesIO(data)
    while True:
        start = file.tell()
        try:
            places = [place for _, _, place in pickletools.genops(file)]
        except ValueError:
            return parts, data[start:]
        ends = [*places[1:], file.tell()]
        parts += [data[a:b] for a, b in zip(places, ends, strict=True)]


ANY: list[Damage] = [flipped, cut, spliced, resized]
# fmt: off
KINDS: dict[str, tuple[Sample, list[Damage]]] = {
    "safetensors": (safetensors_sample,                              [*ANY, reheaded, reheaded]),
    "pth":         (lambda folder: pth_sample(folder, True),        [*ANY, inside, inside, inside]),
    "pth-legacy":  (lambda folder: pth_sample(folder, False),       [*ANY, instructed, instructed]),
    "index.json":  (index_sample,                                    [*ANY, rewritten, rewritten]),
    "npz":         (lambda folder: npz_sample(folder, np.savez),     [*ANY, inside, inside]),
    "npz-packed":  (lambda folder: npz_sample(folder, np.savez_compressed), [*ANY, inside]),
    "npy":         (npy_sample,                                      ANY),
    "h5":          (h5_sample,                                       ANY),
    "keras":       (keras_sample,                                    [*ANY, inside, inside]),
}
# fmt: on


# What may happen --------------------------------------------------------------------------------


class Watch:
    """What was opened outside of a folder, run, or made."""

    folder: Path | None = None
    seen: list[str] = []  # noqa: RUF012
    installed = False

    @classmethod
    def audit(cls, event: str, args: tuple[Any, ...]) -> None:
        if cls.folder is None:
            return
        if event in ("os.system", "subprocess.Popen", "os.exec", "os.mkdir", "socket.connect"):
            cls.seen.append(f"{event} {args!r}")
        if event == "exec" and args[0].co_filename.startswith("<string"):  # others are imports
            cls.seen.append(f"{event} {args!r}")
        if event == "open" and isinstance(args[0], str | bytes) and is_foreign(cls.folder, args):
            cls.seen.append(f"{event} {args!r}")


def is_foreign(folder: Path, args: tuple[Any, ...]) -> bool:
    place = str(args[0])
    if place.endswith((".py", ".pyc", ".so")) or place.startswith("/proc/"):
        return False
    return not place.startswith(str(folder))


@contextmanager
def watched(folder: Path) -> Iterator[None]:
    if not Watch.installed:
        sys.addaudithook(Watch.audit)
        Watch.installed = True
    Watch.folder, Watch.seen = folder, []
    try:
        yield
    finally:
        Watch.folder = None


class Hang(BaseException):
    """A file took too long."""


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def stop(*_: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def attempt(path: Path) -> str:
    """Read a file; what came of it: "read", or the first words of the error."""
    tracemalloc.reset_peak()
    start = tracemalloc.get_traced_memory()[0]
    try:
        with limited(SECONDS):
            loaded = read(path)
        said = "read"
        assert all(isinstance(a, np.ndarray) for a in loaded.values())
    except WeightsError as error:
        said = str(error)
        assert said and len(said) < 2000
    taken = tracemalloc.get_traced_memory()[1] - start
    assert taken < MEMORY, f"{taken:,} bytes were taken"
    return said


def fuzz(kind: str, folder: Path, cases: int, seed: int = 0) -> dict[str, int]:
    """Read that many damaged files of a kind; how many were read, and how many refused.

    AssertionError, with the file kept, for anything else.
    """
    sample, damages = KINDS[kind]
    data = sample(folder)
    path, counts = folder / f"damaged.{kind}", {"read": 0, "refused": 0}
    tracemalloc.start()
    try:
        for case in range(cases):
            rng = random.Random(f"{kind} {seed} {case}")
            path.write_bytes(rng.choice(damages)(data, rng))
            try:
                with watched(folder):
                    said = attempt(path)
                assert not Watch.seen, Watch.seen
            except BaseException as error:
                raise AssertionError(f"case {case} of {kind}, kept in {path}: {error!r}") from error
            counts["read" if said == "read" else "refused"] += 1
    finally:
        tracemalloc.stop()
    assert sorted(p.name for p in folder.iterdir() if p.name != "sample") == [path.name]
    return counts


if __name__ == "__main__":
    # python fuzzing.py KIND CASES [SEED]
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as name:
        began = time.perf_counter()
        result = fuzz(sys.argv[1], Path(name), int(sys.argv[2]), int((sys.argv[3:] or ["1"])[0]))
        print(sys.argv[1], result, f"{time.perf_counter() - began:.0f} s")
