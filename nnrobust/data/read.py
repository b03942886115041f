"""The dataset that the block `data` of params names."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from nnrobust.data.datasets import Dataset, cap_per_class
from nnrobust.data.mnist import read_mnist
from nnrobust.data.sources import read_cifar10, read_digits, read_image_folder


@dataclass(frozen=True)
class Request:
    """The images that a block `data` asks for, as its keys say."""

    name: str
    source: str
    path: str
    sha256: str | None
    n_train_per_class: int | None
    n_test_per_class: int | None
    test_fraction: float
    seed: int

    @classmethod
    def of(cls, block: Mapping[str, Any]) -> "Request":
        """From the block, which is taken to be valid."""
        return cls(**{field.name: block[field.name] for field in fields(cls)})

    def read(self) -> Dataset:
        """The images, as many of each class as are asked for.

        Raises:
            DataError: as the reader of that source, or when a class has fewer images.
        """
        return cap_per_class(self._whole(), self.n_train_per_class, self.n_test_per_class, self.seed)

    def _whole(self) -> Dataset:
        if self.source == "digits":
            return read_digits(self.name, self.test_fraction, self.seed)
        if self.source == "cifar10":
            return read_cifar10(self.name, self.path)
        if self.source == "image_folder":
            return read_image_folder(self.name, self.path, self.sha256)
        return read_mnist(self.name, self.source, self.path)
