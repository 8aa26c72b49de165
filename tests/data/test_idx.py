import gzip
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from phistar.data.idx import format_idx, parse_idx, read_idx
from phistar.errors import DataError

IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def test_the_format_byte_by_byte() -> None:
    assert format_idx(np.array([7, 9], np.uint8)) == b"\0\0\x08\x01\0\0\0\x02\x07\x09"


@pytest.mark.parametrize("shape", [(2, 3, 4), (24,), (0, 28, 28), (0,)])
def test_what_is_written_is_read(shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    assert_array_equal(parse_idx(format_idx(array), "x", len(shape)), array)


def test_an_array_in_another_order_is_written_row_by_row() -> None:
    assert_array_equal(parse_idx(format_idx(IMAGES.T), "x", 3), IMAGES.T)


def test_files_plain_and_gzipped(tmp_path: Path) -> None:
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    plain.write_bytes(format_idx(IMAGES))
    packed.write_bytes(gzip.compress(format_idx(IMAGES)))
    assert_array_equal(read_idx(plain, 3), IMAGES)
    assert_array_equal(read_idx(packed, 3), IMAGES)


# fmt: off
DAMAGED = [
    (b"",                           "x is not an idx file of bytes"),
    (b"\x89PNG1234",                "x is not an idx file of bytes: it begins with 89 50 4e 47"),
    (b"\0\0\x0d\x03" + bytes(12),   "x is not an idx file of bytes"),
    (b"\0\0\x08\x01" + bytes(4),    "x has 1 axes, but 3 were expected"),
    (b"\0\0\x08\x03" + bytes(5),    "x is cut short: its header has 9 of 16 bytes"),
    (format_idx(IMAGES)[:-1],       r"shape \(2, 3, 4\) takes 24 bytes, but 23 follow"),
    (format_idx(IMAGES) + b"\0",    r"shape \(2, 3, 4\) takes 24 bytes, but 25 follow"),
    (b"\0\0\x08\x03" + b"\xff" * 12, "x is damaged: shape"),
]
# fmt: on


@pytest.mark.parametrize(("content", "message"), DAMAGED)
def test_damaged_content(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_idx(content, "x", 3)


@pytest.mark.parametrize("keep", [30, 5])
def test_a_damaged_gzip_file(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(format_idx(IMAGES))[:keep])
    with pytest.raises(DataError, match=r"x\.gz is damaged: it cannot be unpacked"):
        read_idx(path, 3)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_idx(tmp_path / "x", 3)


def test_only_bytes_are_written() -> None:
    with pytest.raises(DataError, match="cannot hold float64"):
        format_idx(np.zeros(2))
