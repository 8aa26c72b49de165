"""Arrays by name in a safetensors file, under the names they had before `phistar.parameters`."""

from phistar.parameters.folders import write as save_arrays
from phistar.parameters.formats import read as load_arrays

__all__ = ["load_arrays", "save_arrays"]
