"""A pytest plugin: compiled programs run under the address and the undefined-behaviour sanitizer.

    LD_PRELOAD=libasan.so ASAN_OPTIONS=detect_leaks=0 python -m pytest -p sanitized FILE

The tensors of a program lie side by side in one stretch of memory, where one that is read past its
end meets the next: here they stand apart, and the gaps are poisoned.
"""

import ctypes
import os
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from phistar.backends.c import compiled, generate
from phistar.backends.c.memory import ALIGNMENT, Plan, bytes_of

FLAGS = "-O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
GAP = 4 * ALIGNMENT

gaps: dict[int, list[tuple[int, int]]] = {}  # by the size of the arena: where, how many bytes


def pytest_configure() -> None:
    generate.plan = apart(generate.plan)
    compiled.Frame.use = guarded(compiled.Frame.use)  # type: ignore[method-assign]


@pytest.fixture(autouse=True, scope="session")
def sanitizing_compiler(tmp_path_factory: pytest.TempPathFactory) -> None:
    script = tmp_path_factory.mktemp("compiler") / "cc"
    script.write_text(f'#!/bin/sh\nexec gcc "$@" {FLAGS}\n')
    script.chmod(0o755)
    os.environ["CC"] = str(script)
    assert Path(os.environ["LD_PRELOAD"]).exists()


def apart(plan: Any) -> Any:
    """The plan with a gap after each place."""

    def planned(*args: Any) -> Plan:
        made: Plan = plan(*args)
        longest: dict[int, int] = {}
        for t, offset in made.offsets.items():
            longest[offset] = max(longest.get(offset, 0), bytes_of(t))
        moved, size, found = {}, 0, []
        for offset, used in sorted(longest.items()):
            moved[offset] = size
            end = size + -(-used // 8) * 8  # what can be poisoned is counted in words
            size = -(-(end + GAP) // ALIGNMENT) * ALIGNMENT
            found.append((end, size - end))
        size += len(gaps) * ALIGNMENT  # no two programs have arenas of one size
        made.offsets = {t: moved[offset] for t, offset in made.offsets.items()}
        made.size = size
        gaps[size] = found
        return made

    return planned


def guarded(use: Any) -> Any:
    """Memory is taken into use with its gaps poisoned, and given back without: others get it."""
    library = ctypes.CDLL(os.environ["LD_PRELOAD"])
    poison, cure = library.__asan_poison_memory_region, library.__asan_unpoison_memory_region
    poison.argtypes = cure.argtypes = ctypes.c_void_p, ctypes.c_size_t

    def used(frame: compiled.Frame, arena: np.ndarray) -> None:
        for start, length in gaps.get(arena.size, ()):
            poison(arena.ctypes.data + start, length)
        weakref.finalize(arena, cure, arena.ctypes.data, arena.size)
        use(frame, arena)

    return used
