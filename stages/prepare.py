"""Reads the images that params name, and writes them with their pairs, hashes and class distances."""

from pathlib import Path

from nnrobust.config.params import read_params
from nnrobust.data.datasets import save_dataset, select_pairs
from nnrobust.data.read import Request
from nnrobust.nearest.dataset.neighbors import class_distances
from nnrobust.runtime.outputs import finished_folder, write_csv
from nnrobust.runtime.process import run_stage
from nnrobust.runtime.progress import shown
from nnrobust.runtime.seals import seal

OUTPUT = Path("data/prepared")


def main() -> None:
    data = read_params("params.yaml").data
    dataset = Request.of(data.model_dump()).read()
    pairs = select_pairs(dataset.classes, data.pairs)
    with finished_folder(OUTPUT) as folder:
        save_dataset(dataset, pairs, folder)
        distances = class_distances(dataset.train, dataset.classes, shown)
        write_csv(folder / "class_distances.csv", distances)
        seal(folder)


if __name__ == "__main__":
    run_stage(main)
