"""`phistar data`: the sets phistar knows, fetching them, and looking at them.

phistar data list            phistar data get NAME            phistar data show NAME
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from phistar import data
from phistar.data import CATALOGUE, Dataset, TextDataset
from phistar.data.catalogue import FILES, FileSet, ImageSet
from phistar.errors import DataError, UsageError, suggestion

PICTURES, TEXTS = 160, 3  # how many are shown
COLUMNS = 16  # pictures in a row of a contact sheet
SCALE = {28: 2, 32: 2, 8: 6}  # pixels of the sheet for one of a picture, by its width
GAP = 4


def list_sets(args: argparse.Namespace) -> None:
    print(f"{'name':<14} {'title':<40} {'examples':>17} {'download':>10}  {'here':<13} licence")
    for name, known in CATALOGUE.items():
        examples = " + ".join(f"{n:,}" for n in known.examples)
        size = f"{known.size / 1e6:.1f} MB"
        print(
            f"{name:<14} {known.title:<40} {examples:>17} {size:>10}  "
            f"{where(known):<13} {known.licence}"
        )


def where(known: ImageSet | FileSet) -> str:
    """The route that has a set without the network, if there is one; "damaged" if it is."""
    for title, here in routes(known):
        try:
            if here():
                return title
        except DataError:
            return "damaged"
    return "no"


def routes(known: ImageSet | FileSet) -> Iterator[tuple[str, Any]]:
    """The places a set may be in, and functions that tell, without reading whole files."""
    from phistar.data import contents, sources
    from phistar.data.places import data_folder

    own = data_folder()
    folders = [own / name for name in known.folders] if own else []
    if isinstance(known, ImageSet):
        files = list(FILES.values())
        yield "PHISTAR_DATA", lambda: any(sources.files_in(f) for f in folders)
        yield "cache", lambda: all((sources.cache_of(known) / f).is_file() for f in files)
        installed = Path(known.installed or "/nowhere")
        yield "installed", lambda: bool(known.installed and sources.files_in(installed))
    else:
        yield "PHISTAR_DATA", lambda: any(contents.present(known, f) for f in folders)
        cache = contents.cache_of(known)
        yield "cache", lambda: all((cache / f).is_file() for f in contents.checksums(known))
        yield "installed", lambda: contents.installed_at(known) is not None


def get(args: argparse.Namespace) -> None:
    train, test = load(args.name)
    known = CATALOGUE[args.name]
    print(f"{known.title}: {len(train):,} examples to train on, {len(test):,} to test on")
    print(f"  it is in {place(known)}; licence: {known.licence}")
    print(train)


def place(known: ImageSet | FileSet) -> str:
    from phistar.data.places import cache_folder, data_folder

    found = where(known)
    if found == "cache":
        return str(cache_folder() / known.folders[0])
    return f"PHISTAR_DATA, {data_folder()}" if found == "PHISTAR_DATA" else found


def load(name: str) -> tuple[Dataset, Dataset]:
    """The two sets of a name; UsageError if there is no such name."""
    if name not in CATALOGUE:
        raise UsageError(f"there is no data set {name!r}: {suggestion(name, list(CATALOGUE))}")
    train, test = getattr(data, name.replace("-", "_"))()
    return train, test


def show(args: argparse.Namespace) -> None:
    train, test = load(args.name)
    chosen = test if args.test else train
    if isinstance(chosen, TextDataset):
        show_text(chosen, sample(len(chosen), args.examples or TEXTS, args.seed))
    else:
        rows = sample(len(chosen), args.examples or PICTURES, args.seed)
        show_images(chosen, rows, args.out or Path(f"{args.name}.png"))


def sample(examples: int, wanted: int, seed: int | None) -> Any:
    """The first rows; or some at random, by seed."""
    if seed is None:
        return np.arange(min(wanted, examples))
    return data.Order(examples, seed).rows(0, wanted)


def show_text(chosen: TextDataset, rows: Any) -> None:
    for row in rows:
        example = chosen[int(row)]
        label = f"  label {example['label']}" if "label" in example else ""
        print(f"example {row}{label}")
        print("\n".join(f"  {line}" for line in chosen.decode(int(row)).splitlines()))


def show_images(chosen: Dataset, rows: Any, path: Path) -> None:
    batch = chosen.batch(rows)
    write_picture(path, sheet(pictures(batch["x"])))
    print("labels, row by row:")
    for start in range(0, len(rows), COLUMNS):
        print(" ", " ".join(f"{label:>2}" for label in batch["label"][start : start + COLUMNS]))
    print(f"wrote {path}")


def pictures(x: Any) -> Any:
    """Numbers from 0 to 1 as bytes of shape (n, height, width, 3), or of three axes if grey."""
    if x.ndim == 2:
        side = round(x.shape[1] ** 0.5)
        x = x.reshape(len(x), side, side)
    if x.ndim == 4:
        x = x.transpose(0, 2, 3, 1)  # channels last, as pictures have them
    return np.rint(x * 255).astype(np.uint8)


def sheet(images: Any) -> Any:
    """One picture of all, side by side, a gap between."""
    n, height, width, *channels = images.shape
    scale = SCALE.get(width, 2)
    images = images.repeat(scale, axis=1).repeat(scale, axis=2)
    high, wide = height * scale + GAP, width * scale + GAP
    lines, across = -(-n // COLUMNS), min(n, COLUMNS)
    whole = np.full((lines * high + GAP, across * wide + GAP, *channels), 128, np.uint8)
    for k, image in enumerate(images):
        top, left = GAP + k // COLUMNS * high, GAP + k % COLUMNS * wide
        whole[top : top + height * scale, left : left + width * scale] = image
    return whole


def write_picture(path: Path, picture: Any) -> None:
    """By Pillow or matplotlib, whichever is here; UsageError if neither is, or for the path."""
    try:
        writer(path, picture)
    except ImportError:
        raise UsageError(
            "the pictures need the package pillow or matplotlib: pip install pillow"
        ) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be written: {error}") from None


def writer(path: Path, picture: Any) -> None:
    try:
        from PIL import Image
    except ImportError:
        from matplotlib import image

        image.imsave(path, picture, cmap="gray", vmin=0, vmax=255)
        return
    Image.fromarray(picture).save(path)
