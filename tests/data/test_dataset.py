from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from phistar.data import BatchSpec, ColumnSpec, Dataset, column, order
from phistar.errors import DataError
from phistar.ir.dtypes import DType


@pytest.fixture
def data() -> Dataset:
    images = np.arange(60, dtype=np.uint8).reshape(10, 2, 3)
    return Dataset(x=column(images, divisor=255), label=np.arange(10))


def test_bytes_are_seen_as_numbers_from_0_to_1(data: Dataset) -> None:
    x = data.column("x")
    assert x.dtype == np.float32
    assert_array_equal(x.ravel(), np.arange(60, dtype=np.float32) / np.float32(255))


def test_a_batch_has_the_rows_asked_for(data: Dataset) -> None:
    batch = data.batch([7, 2, 7])
    assert_array_equal(batch["label"], [7, 2, 7])
    assert_array_equal(batch["x"], data.column("x")[[7, 2, 7]])
    assert_array_equal(data.batch(slice(2, 4))["label"], [2, 3])
    assert data.batch([])["x"].shape == (0, 2, 3)


def test_parts_of_a_data_set_are_data_sets(data: Dataset) -> None:
    assert_array_equal(data[2:8:2].column("label"), [2, 4, 6])
    chosen = data[[9, 1, 5]]
    assert_array_equal(chosen.column("label"), [9, 1, 5])
    assert_array_equal(chosen[1:].column("label"), [1, 5])
    assert_array_equal(chosen.batch([2, 0])["label"], [5, 9])
    assert len(chosen) == 3


def test_a_slice_copies_nothing(data: Dataset) -> None:
    assert np.shares_memory(data[2:4].columns["label"].array, data.columns["label"].array)


def test_a_memory_map_stays_one(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(4.0))
    data = Dataset(x=np.load(tmp_path / "x.npy", mmap_mode="r"))
    assert isinstance(data.columns["x"].array, np.memmap)
    assert_array_equal(data.batch([3, 0])["x"], [3.0, 0.0])


def test_the_form_of_a_minibatch(data: Dataset) -> None:
    spec = data.spec(4)
    assert spec == BatchSpec(
        {"x": ColumnSpec((2, 3), DType.F32), "label": ColumnSpec((), DType.I64)}, 4
    )
    assert spec.resized(2).size == 2


def test_lists_of_numbers_get_the_default_types() -> None:
    columns = Dataset(x=[[1.0, 2.0]], n=[3]).columns
    assert (columns["x"].dtype, columns["n"].dtype) == (DType.F32, DType.I64)


def test_a_split_has_every_example_once(data: Dataset) -> None:
    first, second = data.split(0.7, seed=3)
    assert (len(first), len(second)) == (7, 3)
    both = np.concatenate([first.column("label"), second.column("label")])
    assert_array_equal(np.sort(both), np.arange(10))
    assert_array_equal(data.split(0.7, seed=3)[1].column("label"), second.column("label"))


def test_a_data_set_says_what_it_holds(data: Dataset) -> None:
    assert str(data) == (
        "Dataset of 10 examples\n"
        "  x: 10 x (2, 3)  f32 (stored as u8, divided by 255)\n"
        "  label: 10 x ()  i64"
    )


def test_a_data_set_needs_columns() -> None:
    with pytest.raises(DataError, match="at least one column"):
        Dataset()


def test_columns_of_different_lengths() -> None:
    with pytest.raises(DataError, match="same number of examples: x has 3, label has 2"):
        Dataset(x=np.zeros((3, 2)), label=[0, 1])


def test_a_column_that_is_not_there(data: Dataset) -> None:
    with pytest.raises(DataError, match="no column 'y'; the data has x, label"):
        data.column("y")


@pytest.mark.parametrize("rows", [[[0]], [0.5], 3])
def test_rows_that_are_not_whole_numbers(data: Dataset, rows: Any) -> None:
    with pytest.raises(DataError, match="rows are a list of whole numbers or a slice"):
        data.batch(rows)


@pytest.mark.parametrize("rows", [[0, 10], [-1, 3]])
def test_rows_that_are_not_there(data: Dataset, rows: list[int]) -> None:
    with pytest.raises(DataError, match=f"rows {rows[0]} to {rows[1]} do not fit 10 examples"):
        data[rows]


@pytest.mark.parametrize("size", [0, -1, 2.0, True])
def test_a_minibatch_of_no_size(data: Dataset, size: Any) -> None:
    with pytest.raises(DataError, match="a whole number of examples, not"):
        data.spec(size)


@pytest.mark.parametrize(
    ("parts", "sizes"), [((6, 4), [6, 4]), ((6,), [6, 4]), ((0.5, 0.2), [5, 2, 3])]
)
def test_a_split_by_numbers_or_fractions(
    data: Dataset, parts: tuple[float, ...], sizes: list[int]
) -> None:
    pieces = data.split(*parts)
    assert [len(piece) for piece in pieces] == sizes
    assert_array_equal(np.sort(np.concatenate([p["label"] for p in pieces])), np.arange(10))


@pytest.mark.parametrize("parts", [(), (0,), (1.0,), (-0.5,), (2.0,), (0.5, 3), ("a",)])
def test_a_split_into_nothing(data: Dataset, parts: Any) -> None:
    with pytest.raises(DataError, match="a split wants fractions, each a number between 0 and 1"):
        data.split(*parts)


@pytest.mark.parametrize("parts", [(6, 5), (0.9, 0.2)])
def test_a_split_into_more_than_there_is(data: Dataset, parts: tuple[float, ...]) -> None:
    with pytest.raises(DataError, match=f"parts of {parts[0]}, {parts[1]} exceed the 10 examples"):
        data.split(*parts)


def test_a_column_by_name_and_an_example_by_number(data: Dataset) -> None:
    assert_array_equal(data["label"], np.arange(10))
    assert_array_equal(data[-1]["label"], 9)
    assert data[2]["x"].shape == (2, 3)
    assert_array_equal(data[np.arange(10) > 6]["label"], [7, 8, 9])
    with pytest.raises(DataError, match="no column 'y'"):
        data["y"]
    with pytest.raises(IndexError, match="out of range"):
        data[10]
    assert len(list(data)) == 10


def test_minibatches_of_one_pass(data: Dataset) -> None:
    assert [len(batch["x"]) for batch in data.batches(4)] == [4, 4, 2]
    assert [len(batch["x"]) for batch in data.batches(4, drop_last=True)] == [4, 4]
    labels = [b["label"] for b in data.batches(4, shuffle=True, seed=1, epoch=2)]
    assert_array_equal(np.concatenate(labels), order(10, 1, 2))


def test_a_name_that_no_parameter_can_have() -> None:
    with pytest.raises(DataError, match="'x y' cannot name a column"):
        Dataset(**{"x y": [1]})
