"""Reading pickled arrays from elsewhere: a pickle may call any function, so only these are allowed.

what a NumPy array is made of: numpy.ndarray, numpy.dtype, numpy's _reconstruct
"""

import gzip
import io
import pickle
from typing import Any

import numpy as np

from phistar.errors import DataError

# Its home has moved between NumPy's versions, so it is asked of an array.
RECONSTRUCT = np.empty(0).__reduce__()[0]

# fmt: off
ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy",                   "ndarray"):      np.ndarray,
    ("numpy",                   "dtype"):        np.dtype,
    ("numpy.core.multiarray",   "_reconstruct"): RECONSTRUCT,
    ("numpy._core.multiarray",  "_reconstruct"): RECONSTRUCT,
}
# fmt: on


class ArrayUnpickler(pickle.Unpickler):
    """Finds nothing but what arrays are made of."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise DataError(f"the pickle asks for {module}.{name}: only arrays are read")
        return ALLOWED[module, name]


def read_pickled_arrays(packed: bytes) -> Any:
    """The arrays, and tuples of arrays, in a gzipped pickle; DataError for anything else."""
    try:
        file = io.BytesIO(gzip.decompress(packed))
        return ArrayUnpickler(file, encoding="latin1").load()
    except DataError:
        raise
    except Exception as error:  # a damaged pickle may call what is allowed with anything
        raise DataError(f"the pickle is damaged: {error}") from None
