"""Pickles from elsewhere give arrays or an error; what they ask to be called is not called."""

import gzip
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import phistar as ph
from phistar.data.unpickling import read_pickled_arrays

ARRAYS = (np.arange(6, dtype=np.float32).reshape(2, 3), np.array([1, 2], np.int64))


@pytest.mark.parametrize("protocol", [3, 4])
def test_arrays(protocol: int) -> None:
    x, y = read_pickled_arrays(gzip.compress(pickle.dumps(ARRAYS, protocol)))
    assert_array_equal(x, ARRAYS[0])
    assert_array_equal(y, ARRAYS[1])


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("name", ["system", "remove"])
def test_a_call_is_refused(name: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.touch()
    wish = f"rm {victim}" if name == "system" else str(victim)
    content = pickle.dumps((ARRAYS, Calls(getattr(os, name), wish)))
    with pytest.raises(ph.DataError, match=f"asks for posix.{name}: only arrays are read"):
        read_pickled_arrays(gzip.compress(content))
    assert victim.exists()


@pytest.mark.parametrize("function", [eval, getattr, np.load])
def test_other_names_are_refused(function: Any) -> None:
    with pytest.raises(ph.DataError, match=r"the pickle asks for .*: only arrays are read"):
        read_pickled_arrays(gzip.compress(pickle.dumps(Calls(function, "x"))))


def test_damage() -> None:
    whole = pickle.dumps(ARRAYS)
    for content in (b"", b"text", gzip.compress(whole)[:-9], gzip.compress(whole[:-9])):
        with pytest.raises(ph.DataError, match="the pickle is damaged: "):
            read_pickled_arrays(content)


def test_an_allowed_name_called_wrongly() -> None:
    with pytest.raises(ph.DataError, match="the pickle is damaged: "):
        read_pickled_arrays(gzip.compress(pickle.dumps(Calls(np.dtype, "no type"))))
