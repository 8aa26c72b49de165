"""Image sets by name: images of bytes that the model sees as 0..1, and a label each."""

from phistar.data.catalogue import CATALOGUE
from phistar.data.columns import column
from phistar.data.dataset import Dataset
from phistar.data.idx import Bytes
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


def image_set(name: str, flat: bool = True) -> tuple[Dataset, Dataset]:
    """The training set and the test set of a row of the catalogue."""
    # Only here: it brings the network's modules, which a user's own data does not need.
    from phistar.data.sources import find

    parts = find(CATALOGUE[name])
    return (
        labelled(parts["train-images"], parts["train-labels"], flat),
        labelled(parts["t10k-images"], parts["t10k-labels"], flat),
    )


def labelled(images: Bytes, labels: Bytes, flat: bool) -> Dataset:
    if len(images) != len(labels):
        raise DataError(f"there are {len(images):,} images, but {len(labels):,} labels")
    shape = (len(images), images[0].size) if flat and len(images) else images.shape
    return Dataset(
        x=column(images.reshape(shape), "f32", divisor=255),
        label=column(labels, "i64"),
    )
