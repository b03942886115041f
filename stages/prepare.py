"""Reads the images that params name, and writes them with their pairs, hashes and class distances."""

from pathlib import Path

from nnrobust.config.blocks import Data
from nnrobust.config.params import read_params
from nnrobust.data.datasets import Dataset, cap_per_class, save_dataset, select_pairs
from nnrobust.data.sources import read_cifar10, read_digits, read_image_folder
from nnrobust.nearest.neighbors import class_distances
from nnrobust.runtime.outputs import finished_folder, write_csv
from nnrobust.runtime.process import run_stage
from nnrobust.runtime.progress import shown

OUTPUT = Path("data/prepared")


def read(data: Data) -> Dataset:
    if data.source == "digits":
        return read_digits(data.name, data.test_fraction, data.seed)
    if data.source == "cifar10":
        return read_cifar10(data.name, data.path)
    return read_image_folder(data.name, data.path, data.sha256)


def main() -> None:
    data = read_params("params.yaml").data
    dataset = cap_per_class(read(data), data.n_train_per_class, data.n_test_per_class, data.seed)
    pairs = select_pairs(dataset.classes, data.pairs)
    with finished_folder(OUTPUT) as folder:
        save_dataset(dataset, pairs, folder)
        distances = class_distances(dataset.train, dataset.classes, shown)
        write_csv(folder / "class_distances.csv", distances)


if __name__ == "__main__":
    run_stage(main)
