"""Data sets: named columns, the order in which they are seen, and the sets that everybody uses."""

from phistar.data.catalogue import CATALOGUE
from phistar.data.columns import Column, column
from phistar.data.dataset import BatchSpec, ColumnSpec, Dataset
from phistar.data.images import fashion_mnist, mnist
from phistar.data.lazy import Lazy
from phistar.data.order import Order, minibatches, order, positions
from phistar.data.sampling import concatenate

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
    "fashion_mnist",
    "minibatches",
    "mnist",
    "order",
    "positions",
]
