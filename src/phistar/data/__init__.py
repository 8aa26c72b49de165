"""Data sets: named columns, the order in which they are seen, and the sets that everybody uses."""

from phistar.data.adapters import from_datasets, from_iterable, from_source
from phistar.data.catalogue import CATALOGUE
from phistar.data.columns import Column, column
from phistar.data.corpora import ptb, shakespeare
from phistar.data.dataset import BatchSpec, ColumnSpec, Dataset
from phistar.data.files import csv, hdf5, idx, npy, npz, parquet
from phistar.data.images import cifar10, cifar100, digits, fashion_mnist, kmnist, mnist
from phistar.data.lazy import Lazy
from phistar.data.media import image_folder, tar, wav
from phistar.data.order import Order, minibatches, order, positions
from phistar.data.sampling import concatenate
from phistar.data.sentiment import imdb, sst
from phistar.data.vocabulary import TextDataset, Vocabulary
from phistar.data.windows import text

__all__ = [
    "CATALOGUE",
    "BatchSpec",
    "Column",
    "ColumnSpec",
    "Dataset",
    "Lazy",
    "Order",
    "TextDataset",
    "Vocabulary",
    "cifar10",
    "cifar100",
    "column",
    "concatenate",
    "csv",
    "digits",
    "fashion_mnist",
    "from_datasets",
    "from_iterable",
    "from_source",
    "hdf5",
    "idx",
    "image_folder",
    "imdb",
    "kmnist",
    "minibatches",
    "mnist",
    "npy",
    "npz",
    "order",
    "parquet",
    "positions",
    "ptb",
    "shakespeare",
    "sst",
    "tar",
    "text",
    "wav",
]
