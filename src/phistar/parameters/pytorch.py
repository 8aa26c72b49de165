"""PyTorch's files of weights, .pth and .pt, of both kinds: nothing in them is run.

since 1.6   a zip: data.pkl says what there is, data/0, data/1, ... are the storages
before      pickles in a row: a number, a version, the machine, what there is, the keys of storages;
            then each storage, its length before it

A tensor is a view of a storage: an offset, sizes and strides. Storages may be shared.
"""

import io
import mmap
import weakref
from collections.abc import Callable
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from phistar.errors import WeightsError
from phistar.parameters.pickled_arrays import NUMPY_NAMES, PickledArray
from phistar.parameters.pickles import OPAQUE, Function, Machine, Ordered, leaves, set_items
from phistar.parameters.stored import (
    Array,
    Damaged,
    Stored,
    as_read,
    checked_shape,
    held,
    numpy_type,
    unreadable,
)
from phistar.parameters.zips import Zip

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
LONGEST_PICKLE = 1 << 28
MOST_COPIES = 8  # of the file, for types that are other ones in memory
MOST_REPEATS = 64  # of an element, where a stride is 0

# fmt: off
STORAGES = {
    "FloatStorage": "f4",   "DoubleStorage": "f8",  "HalfStorage":  "f2",  "ByteStorage": "u1",
    "CharStorage":  "i1",   "ShortStorage":  "i2",  "IntStorage":   "i4",  "LongStorage": "i8",
    "BoolStorage":  "bool", "BFloat16Storage": "bfloat16",         "UntypedStorage":      "u1",
    "ComplexFloatStorage":  "c8",            "ComplexDoubleStorage": "c16",
}
DTYPES = {
    "float32": "f4",  "float": "f4",   "float64": "f8",  "double": "f8",  "float16": "f2",
    "half":    "f2",  "bfloat16": "bfloat16",             "uint8":  "u1",  "int8":   "i1",
    "int16":   "i2",  "short": "i2",   "int32":   "i4",  "int":    "i4",  "int64":  "i8",
    "long":    "i8",  "bool":  "bool", "uint16":  "u2",  "uint32": "u4",  "uint64": "u8",
    "complex64": "c8", "complex128": "c16",
}
# fmt: on


class Kind:
    """The type of a storage's elements, or of a tensor's."""

    def __init__(self, name: str) -> None:
        self.file, self.memory = numpy_type(name)


class Storage:
    """Elements in a row, somewhere in the file; kept only while a tensor needs them."""

    def __init__(self, kind: Kind, count: int, raw: Callable[[], Array]) -> None:
        self.kind, self.count, self.raw = kind, count, raw
        self.kept: weakref.ref[Array] | None = None

    def read(self) -> Array:
        kept = None if self.kept is None else self.kept()
        if kept is None:
            kept = self.raw()
            self.kept = weakref.ref(kept)
        return kept


class Part:
    """Some of a storage's elements, as a storage."""

    def __init__(self, whole: Storage, start: int, count: int) -> None:
        self.whole, self.start, self.count = whole, start, count
        if start + count > whole.count:
            raise Damaged("a part of a storage is outside it")


class View:
    """A tensor."""

    def __init__(
        self, storage: Storage, kind: Kind, start: int, shape: tuple[int, ...], strides: Any
    ) -> None:
        self.storage, self.kind, self.start = storage, kind, start
        self.shape, self.strides = shape, strides

    def copied(self) -> int:
        """How many bytes it takes, if it is not a view of the storage in memory too."""
        own = self.kind.file != self.kind.memory
        return prod(self.shape) * self.kind.memory.itemsize if own else 0

    def read(self) -> Array:
        """Its elements, out of its storage's: each is inside, as `tensor` has seen to."""
        raw = self.storage.read().view(np.uint8)
        width = self.kind.file.itemsize
        elements = raw[: len(raw) // width * width].view(self.kind.file)
        if prod(self.shape) == 0:
            return np.zeros(self.shape, self.kind.memory)
        steps = [n * width for n in self.strides]
        return as_read(
            as_strided(elements[self.start :], self.shape, steps, writeable=False),
            self.kind.memory,
        )


def tensor(
    storage: Any, start: Any, shape: Any, strides: Any, *rest: Any, kind: Kind | None = None
) -> View:
    """_rebuild_tensor and _rebuild_tensor_v2; Damaged if an element is outside the storage."""
    if not isinstance(storage, Storage | Part):
        raise Damaged("a tensor has no storage")
    metadata = rest[2] if len(rest) > 2 else None
    if metadata and (not isinstance(metadata, dict) or any(metadata.values())):
        raise Damaged("a tensor is a view that is conjugated or negated")
    shape = checked_shape(shape, "a tensor")
    if not is_size(start) or not are_strides(strides, len(shape)):
        raise Damaged("a tensor's offset and strides are not right")
    whole = storage.whole if isinstance(storage, Part) else storage
    kind = kind or whole.kind
    room = storage.count * whole.kind.file.itemsize // kind.file.itemsize
    last = start + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    if prod(shape) and last >= room:
        raise Damaged("a tensor has elements outside its storage")
    if prod(shape) > room * MOST_REPEATS:
        raise Damaged("a tensor repeats its elements too often")
    first = storage.start if isinstance(storage, Part) else 0
    return View(whole, kind, start + first, shape, strides)


def are_strides(strides: Any, count: int) -> bool:
    return (
        isinstance(strides, tuple | list) and len(strides) == count and all(map(is_size, strides))
    )


def is_size(number: Any) -> bool:
    return type(number) is int and 0 <= number < 2**62


def tensor_of_type(
    storage: Any, start: Any, shape: Any, strides: Any, grad: Any, hooks: Any, kind: Any, *rest: Any
) -> View:
    """_rebuild_tensor_v3: the type stands apart from the storage's."""
    if not isinstance(kind, Kind) or not isinstance(storage, Storage):
        raise Damaged("a tensor has a type that is not read")
    return tensor(storage, start, shape, strides, grad, hooks, *rest, kind=kind)


def from_type(function: Any, kind: Any, arguments: Any, state: Any) -> Any:
    """_rebuild_from_type_v2: a tensor with attributes of its own."""
    if not isinstance(function, Function) or not isinstance(arguments, tuple):
        raise Damaged("a tensor is made by what makes none")
    return function.make(*arguments)


def ordered(pairs: Any = ()) -> Ordered:
    """An OrderedDict; pairs: keys and values, or a dict."""
    made = Ordered()
    items = pairs.items() if isinstance(pairs, dict) else pairs
    set_items(made, [part for pair in items for part in two(pair)])
    return made


def two(pair: Any) -> tuple[Any, Any]:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise Damaged("a dict is made of what are no pairs")
    return pair[0], pair[1]


# fmt: off
KNOWN: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor"):               Function(tensor),
    ("torch._utils", "_rebuild_tensor_v2"):            Function(tensor),
    ("torch._utils", "_rebuild_tensor_v3"):            Function(tensor_of_type),
    ("torch._utils", "_rebuild_parameter"):            Function(lambda data, *_: data),
    ("torch._utils", "_rebuild_parameter_with_state"): Function(lambda data, *_: data),
    ("torch._tensor", "_rebuild_from_type_v2"):        Function(from_type),
    ("torch", "Tensor"):                               OPAQUE,
    ("torch.nn.parameter", "Parameter"):               OPAQUE,
    ("torch.nn.parameter", "Buffer"):                  OPAQUE,
    ("torch", "Size"):                                 Function(lambda sizes=(): tuple(sizes)),
    ("torch", "device"):                               Function(lambda *_: OPAQUE),
    ("torch.serialization", "_get_layout"):            Function(lambda *_: OPAQUE),
    ("collections", "OrderedDict"):                    Function(ordered),
    ("collections", "defaultdict"):                    Function(lambda *_: Ordered()),
    **{("torch", name): Kind(kind) for name, kind in STORAGES.items()},
    **{("torch.storage", name): Kind(kind) for name, kind in STORAGES.items()},
    **{("torch", name): Kind(kind) for name, kind in DTYPES.items()},
    **{(module, name): Function(lambda *_: OPAQUE)
       for module in ("builtins", "__builtin__") for name in ("set", "frozenset", "complex")},
    **{(module, name): OPAQUE
       for module in ("builtins", "__builtin__") for name in ("dict", "list", "int", "float")},
    **NUMPY_NAMES,
}
# fmt: on


def read_pytorch_zip(path: Path) -> dict[str, Stored]:
    """The arrays of a file of PyTorch since 1.6, by name."""
    try:
        archive = Zip(path)
        return from_zip(path, archive)
    except Damaged as error:
        raise unreadable(path, "a file of PyTorch", error) from None
    except WeightsError as error:
        raise WeightsError(f"{path} is not read: {error}") from None


def from_zip(path: Path, archive: Zip) -> dict[str, Stored]:
    name = next(n for n in archive.names() if n == "data.pkl" or n.endswith("/data.pkl"))
    top = name.removesuffix("data.pkl")
    swapped = f"{top}byteorder" in archive.members and archive.read(f"{top}byteorder") == b"big"
    made: dict[str, Storage] = {}

    def storage(argument: Any) -> Storage:
        kind, key, count = storage_id(argument, 5)
        if key not in made:
            made[key] = zipped(archive, f"{top}data/{key}", kind, count, swapped)
        return same_storage(made[key], kind, count)

    if archive.members[name].file_size > LONGEST_PICKLE:
        raise Damaged("its pickle is longer than that of any weights")
    pickle = archive.read(name)
    machine = Machine(KNOWN, storage, len(pickle))
    return named(path, machine.load(io.BytesIO(pickle)), machine.steps)


def storage_id(argument: Any, least: int) -> tuple[Kind, str, int]:
    """('storage', type, key, place, count, ...): the type, the key and the count."""
    if not isinstance(argument, tuple) or len(argument) < least or argument[0] != "storage":
        raise Damaged("its pickle refers to what is no storage")
    kind, key, count = argument[1], argument[2], argument[4]
    if not isinstance(kind, Kind) or not isinstance(key, str) or not is_size(count):
        raise Damaged("its pickle refers to what is no storage")
    return kind, key, count


def same_storage(storage: Storage, kind: Kind, count: int) -> Storage:
    """The storage seen as another type's or length's is an error: PyTorch writes no such file."""
    if storage.kind.file != kind.file or storage.count != count:
        raise Damaged("a storage has two types or lengths")
    return storage


def zipped(archive: Zip, name: str, kind: Kind, count: int, swapped: bool) -> Storage:
    """A storage in a member of a zip."""
    if name not in archive.members:
        raise Damaged(f"its member {name} is missing")
    if archive.members[name].file_size < count * kind.file.itemsize:
        raise Damaged(f"its member {name} is too short")
    return Storage(kind, count, lambda: elements(archive.read(name), kind, count, swapped))


def elements(data: bytes, kind: Kind, count: int, swapped: bool) -> Array:
    """Raw elements, their low bytes first."""
    raw = np.frombuffer(data, kind.file, count)
    return raw.byteswap() if swapped else raw


def read_pytorch_legacy(path: Path) -> dict[str, Stored]:
    """The arrays of a file of PyTorch before 1.6, by name."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return from_pickles(path, data)
    except Damaged as error:
        raise unreadable(path, "a file of PyTorch", error) from None
    except WeightsError as error:
        raise WeightsError(f"{path} is not read: {error}") from None


def from_pickles(path: Path, data: mmap.mmap) -> dict[str, Stored]:
    def plain(expected: str) -> Any:
        return Machine({}, refuse_storage, len(data)).load(data)

    if plain("number") != MAGIC:
        raise Damaged("it is a pickle, but not one of PyTorch")
    if plain("version") != VERSION:
        raise Damaged("its version is not known")
    machine_info = plain("machine")
    swapped = isinstance(machine_info, dict) and machine_info.get("little_endian") is False
    places: dict[str, int] = {}
    made: dict[str, Storage] = {}

    def storage(argument: Any) -> Storage | Part:
        kind, key, count = storage_id(argument, 5)
        if key not in made:
            raw = partial(from_file, path, places, key, kind, count, swapped)
            made[key] = Storage(kind, count, raw)
        whole = same_storage(made[key], kind, count)
        return part(whole, argument[5] if len(argument) > 5 else None)

    machine = Machine(KNOWN, storage, len(data))
    found = machine.load(data)
    places |= storage_places(data, plain("keys"), made)
    return named(path, found, machine.steps)


def part(whole: Storage, described: Any) -> Storage | Part:
    """A storage, or the part of it that (key, offset, count) describes."""
    if described is None:
        return whole
    if not isinstance(described, tuple) or len(described) != 3:
        raise Damaged("its pickle refers to what is no storage")
    _, start, count = described
    if not (is_size(start) and is_size(count)):
        raise Damaged("its pickle refers to what is no storage")
    return Part(whole, start, count)


def refuse_storage(argument: Any) -> Any:
    raise Damaged("a storage stands where there is none")


def storage_places(data: mmap.mmap, keys: Any, made: dict[str, Storage]) -> dict[str, int]:
    """Where each storage begins; Damaged unless each is there once, as long as it says."""
    if not isinstance(keys, list) or not all(isinstance(k, str) for k in keys):
        raise Damaged("its list of storages is not one")
    if sorted(keys) != sorted(made):
        raise Damaged("its list of storages names others than its tensors need")
    places = {}
    for key in keys:
        count = int.from_bytes(data.read(8), "little", signed=True)
        size = made[key].count * made[key].kind.file.itemsize
        if count != made[key].count or size > len(data) - data.tell():
            raise Damaged("a storage is shorter than it says")
        places[key] = data.tell()
        data.seek(size, 1)
    return places


def from_file(
    path: Path, places: dict[str, int], key: str, kind: Kind, count: int, swapped: bool
) -> Array:
    with path.open("rb") as file:
        file.seek(places[key])
        data = file.read(count * kind.file.itemsize)
    if len(data) != count * kind.file.itemsize:
        raise Damaged("it has become shorter")
    return elements(data, kind, count, swapped)


def named(path: Path, found: Any, most: int) -> dict[str, Stored]:
    """The tensors and arrays of an object by name; one alone is called as the file."""
    made: dict[str, Stored] = {}
    room = MOST_COPIES * path.stat().st_size
    for name, leaf in leaves(found, (View, PickledArray), most):
        name = name or path.stem
        if name in made:
            raise Damaged(f"it holds {name} twice")
        room -= leaf.copied() if isinstance(leaf, View) else 0
        if room < 0:
            raise Damaged("its tensors repeat what it holds too often")
        made[name] = (
            Stored(leaf.shape, leaf.kind.memory, leaf.read)
            if isinstance(leaf, View)
            else held(leaf.finished())
        )
    return made
