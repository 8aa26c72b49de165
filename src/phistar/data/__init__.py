"""Data sets: named columns, the order in which they are seen, and the sets that everybody uses."""

from phistar.data.adapters import from_datasets, from_iterable, from_source
from phistar.data.catalogue import CATALOGUE
from phistar.data.columns import Column, column
from phistar.data.dataset import BatchSpec, ColumnSpec, Dataset
from phistar.data.files import csv, hdf5, idx, npy, npz, parquet
from phistar.data.images import fashion_mnist, mnist
from phistar.data.lazy import Lazy
from phistar.data.media import image_folder, tar, wav
from phistar.data.order import Order, minibatches, order, positions
from phistar.data.sampling import concatenate
from phistar.data.windows import text

__all__ = [
    "CATALOGUE",
    "BatchSpec",
    "Column",
    "ColumnSpec",
    "Dataset",
    "Lazy",
    "Order",
    "column",
    "concatenate",
    "csv",
    "fashion_mnist",
    "from_datasets",
    "from_iterable",
    "from_source",
    "hdf5",
    "idx",
    "image_folder",
    "minibatches",
    "mnist",
    "npy",
    "npz",
    "order",
    "parquet",
    "positions",
    "tar",
    "text",
    "wav",
]
