"""`phistar info`: versions, backends, compilers, folders and threads, as a bug report needs."""

import argparse
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from phistar.compiler import BACKENDS, default_backend
from phistar.errors import BackendError

PACKAGES = (
    "numpy",
    "opt_einsum",
    "rich",
    "matplotlib",
    "jax",
    "scipy-openblas32",
    "h5py",
    "tokenizers",
)
NEEDS = {"xla": ("jax", "phistar[xla]")}  # what a backend needs beyond phistar itself
COMPILERS = ("cc", "gcc", "clang")
VARIABLES = (
    "PHISTAR_BACKEND",
    "PHISTAR_DATA",
    "PHISTAR_HOME",
    "PHISTAR_OFFLINE",
    "PHISTAR_CHECK",
    "PHISTAR_THREADS",
    "CC",
)
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def run(args: argparse.Namespace) -> None:
    for title, lines in sections():
        print(title)
        for name, what in lines:
            print(f"  {name:<22} {what}")


def sections() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    from phistar import __version__

    yield (
        "versions",
        [
            ("phistar", __version__),
            ("python", f"{platform.python_version()} ({sys.executable})"),
            ("system", platform.platform()),
            *((name, package(name)) for name in PACKAGES),
        ],
    )
    yield "backends", [(name, backend(name)) for name in BACKENDS]
    yield "C compilers", list(compilers())
    yield "folders", list(folders())
    yield "threads", list(threads())


def package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def backend(name: str) -> str:
    """Whether a backend can run here, and whether it is the one that runs by default."""
    needed, extra = NEEDS.get(name, ("", ""))
    if needed and find_spec(needed) is None:
        return f"needs {needed}: pip install '{extra}'"
    if name == "c":
        return found_compiler() + (", the default" if name == chosen() else "")
    return "found" + (", the default" if name == chosen() else "")


def chosen() -> str:
    """The default backend; none while CC names a compiler that does not run."""
    try:
        return default_backend()
    except BackendError:
        return ""


def found_compiler() -> str:
    """The C compiler that the c backend uses, or how to get one."""
    from phistar.backends.c.toolchain import find_compiler

    try:
        compiler = find_compiler()
    except BackendError as error:
        return str(error).splitlines()[0]
    if compiler is None:
        return "needs a C compiler: cc, gcc, clang, or pip install ziglang"
    return f"found: {' '.join(compiler.command)} ({compiler.version})"


def compilers() -> Iterator[tuple[str, str]]:
    """The C compilers that are on the path."""
    if named := os.environ.get("CC"):
        yield "$CC", named
    for name in COMPILERS:
        yield name, shutil.which(name) or "not found"
    yield "ziglang", package("ziglang")


def folders() -> Iterator[tuple[str, str]]:
    from phistar.data.places import cache_folder

    yield "data cache", str(cache_folder())
    for name in VARIABLES:
        yield name, os.environ.get(name) or "not set"


def threads() -> Iterator[tuple[str, str]]:
    yield (
        "processors",
        str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
    )
    for name in THREADS:
        yield name, os.environ.get(name) or "not set"
