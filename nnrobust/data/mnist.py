"""MNIST and Fashion-MNIST through torchvision."""

from pathlib import Path
from urllib.error import URLError

import numpy as np

from nnrobust.data.datasets import SPLITS, Dataset, Split
from nnrobust.errors import DataError

FILES = [f"{split}-{kind}-ubyte" for split in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
"""The names of the unpacked files, in the folder of the dataset."""


def read_mnist(name: str, source: str, folder: Path | str) -> Dataset:
    """`mnist` or `fashion_mnist` from `folder/MNIST/raw` or `folder/FashionMNIST/raw`: grey images of 28x28, in the files' order.

    Where one of `FILES` is missing they are downloaded.

    Raises:
        DataError: when they cannot be downloaded, or a file is damaged.
    """
    from torchvision.datasets import MNIST, FashionMNIST

    kind = {"mnist": MNIST, "fashion_mnist": FashionMNIST}[source]
    raw = Path(folder) / kind.__name__ / "raw"
    if not all((raw / name).exists() for name in FILES):
        try:
            kind(str(folder), download=True)
        except (URLError, OSError, RuntimeError) as error:
            cause = " ".join(str(error).split())
            raise DataError(f"{raw}: expected the files {', '.join(FILES)}, and the download failed: {cause}; "
                            "place them there by hand") from error  # fmt: skip
    try:
        parts = {split: kind(str(folder), train=split == "train") for split in SPLITS}
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, AssertionError) as error:
        raise DataError(f"{raw}: expected whole idx files: {error}; delete them and fetch them again") from error
    splits = {
        split: Split(
            part.data.numpy()[:, None],
            part.targets.numpy().astype(np.int64),
            [f"{split}/{i:05d}" for i in range(len(part.targets))],
        )
        for split, part in parts.items()
    }
    return Dataset(name, [label.split(" - ")[0] for label in kind.classes], splits["train"], splits["test"])
