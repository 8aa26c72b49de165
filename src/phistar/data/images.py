"""Image sets by name: images of bytes that the model sees as 0..1, and a label each."""

import io

import numpy as np

from phistar.data.catalogue import CATALOGUE, FILES, FileSet, ImageSet
from phistar.data.columns import column
from phistar.data.dataset import Dataset
from phistar.data.idx import Bytes, parse_idx
from phistar.errors import DataError


def mnist(flat: bool = True) -> tuple[Dataset, Dataset]:
    """Handwritten digits, 28 x 28 pixels: 60,000 to train on and 10,000 to test.

    Columns: x, f32 from 0 to 1, of shape (n, 784), or (n, 28, 28) with flat=False; label, i64 from
    0 to 9. Read from the folder PHISTAR_DATA, else the cache; else fetched once, checked, cached.
    Raises DataError if no route has the files, or if given ones are damaged.
    Source: Y. LeCun, C. Cortes, C. Burges, The MNIST database of handwritten digits.
    """
    return image_set("mnist", flat)


def fashion_mnist(flat: bool = True) -> tuple[Dataset, Dataset]:
    """Pictures of clothes in the format of MNIST, with the same columns: 10 kinds, 28 x 28 pixels.

    Source: H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST, arXiv:1708.07747.
    """
    return image_set("fashion-mnist", flat)


def kmnist(flat: bool = True) -> tuple[Dataset, Dataset]:
    """Handwritten Japanese characters in the format of MNIST, with the same columns.

    10 kinds of hiragana, 28 x 28 pixels: 60,000 to train on and 10,000 to test. CC BY-SA 4.0.
    Source: T. Clanuwat and others, Deep Learning for Classical Japanese Literature,
    arXiv:1812.01718.
    """
    parts = file_parts("kmnist")
    arrays = [
        parse_idx(parts[name], name, 3 if part.endswith("images") else 1)
        for part, name in FILES.items()
    ]
    return labelled(arrays[0], arrays[1], flat), labelled(arrays[2], arrays[3], flat)


def cifar10(flat: bool = False) -> tuple[Dataset, Dataset]:
    """Colour photographs of 10 kinds of things, 32 x 32 pixels: 50,000 and 10,000.

    Columns: x, f32 from 0 to 1 (stored as bytes), of shape (n, 3, 32, 32): channels first (red,
    green, blue), then rows, then columns, as `ph.nn.Conv2d` reads them; or (n, 3072) with
    flat=True. label, i64 from 0 to 9. Read from the folder PHISTAR_DATA, else the cache; else
    fetched once (170 MB), checked, cached. Raises DataError if no route has it, or if given files
    are damaged.
    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009. No licence
    is stated; cite the source.
    """
    return cifar("cifar10", ("label",), flat)


def cifar100(flat: bool = False) -> tuple[Dataset, Dataset]:
    """Colour photographs of 100 kinds of things, in the form of `cifar10`: 50,000 and 10,000.

    Columns: x as there; label, i64 from 0 to 99; coarse, i64 from 0 to 19: the group of its kind.
    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    """
    return cifar("cifar100", ("coarse", "label"), flat)


def digits(flat: bool = True) -> tuple[Dataset, Dataset]:
    """Small handwritten digits, 8 x 8 pixels: 1,437 to train on and the last 360 to test.

    Columns: x, f32 from 0 to 1 (stored as bytes from 0 to 16), of shape (n, 64), or (n, 8, 8) with
    flat=False; label, i64 from 0 to 9. From an installed scikit-learn, else from its wheel.
    Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
    Repository, 1998: the 1,797 that scikit-learn has. CC BY 4.0.
    """
    (content,) = file_parts("digits").values()
    try:
        table = np.loadtxt(io.BytesIO(content), delimiter=",", dtype=np.uint8, ndmin=2)
    except ValueError as error:
        raise DataError(f"digits.csv is damaged: {error}") from None
    if table.shape[1] != 65 or (table[:, :-1] > 16).any():
        raise DataError("digits.csv is damaged: it wants 64 pixels from 0 to 16 and a label")
    images = table[:, :-1].reshape(-1, 8, 8)
    first = round(0.8 * len(table) - 0.5)
    return (
        labelled(images[:first], table[:first, -1], flat, 16),
        labelled(images[first:], table[first:, -1], flat, 16),
    )


def cifar(name: str, labels: tuple[str, ...], flat: bool) -> tuple[Dataset, Dataset]:
    """The training set and the test set out of files of records."""
    parts = file_parts(name)
    *training, test = (records(content, part, labels) for part, content in parts.items())
    train = [np.concatenate(arrays) for arrays in zip(*training, strict=True)]
    return coloured(train, labels, flat), coloured(test, labels, flat)


def records(content: bytes, name: str, labels: tuple[str, ...]) -> list[Bytes]:
    """Images and labels: record = label{labels} red{1024} green{1024} blue{1024}."""
    width = len(labels) + 3072
    if not content or len(content) % width:
        raise DataError(f"{name} is damaged: {len(content):,} bytes are not records of {width:,}")
    table = np.frombuffer(content, np.uint8).reshape(-1, width)
    images = table[:, len(labels) :].reshape(-1, 3, 32, 32)
    return [images, *(table[:, k] for k in range(len(labels)))]


def coloured(arrays: list[Bytes], labels: tuple[str, ...], flat: bool) -> Dataset:
    images, *numbers = (np.ascontiguousarray(array) for array in arrays)
    shape = (len(images), -1) if flat else images.shape
    named = {name: column(array, "i64") for name, array in zip(labels, numbers, strict=True)}
    x = column(images.reshape(shape), "f32", divisor=255)
    return Dataset(x=x, label=named.pop("label"), **named)


def file_parts(name: str) -> dict[str, bytes]:
    """The files of a row of the catalogue."""
    from phistar.data.contents import contents

    known = CATALOGUE[name]
    assert isinstance(known, FileSet)
    found = contents(known)
    return {part: found[part] for part in known.parts}


def image_set(name: str, flat: bool = True) -> tuple[Dataset, Dataset]:
    """The training set and the test set of a row of the catalogue."""
    # Only here: it brings the network's modules, which a user's own data does not need.
    from phistar.data.sources import find

    known = CATALOGUE[name]
    assert isinstance(known, ImageSet)
    parts = find(known)
    return (
        labelled(parts["train-images"], parts["train-labels"], flat),
        labelled(parts["t10k-images"], parts["t10k-labels"], flat),
    )


def labelled(images: Bytes, labels: Bytes, flat: bool, divisor: float = 255) -> Dataset:
    if len(images) != len(labels):
        raise DataError(f"there are {len(images):,} images, but {len(labels):,} labels")
    shape = (len(images), images[0].size) if flat and len(images) else images.shape
    return Dataset(
        x=column(images.reshape(shape), "f32", divisor=divisor),
        label=column(labels, "i64"),
    )
