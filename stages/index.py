"""Builds the exact FAISS index of each class, and finds the nearest training image of each test image."""

from pathlib import Path

from nnrobust.data.datasets import load_dataset
from nnrobust.nearest.dataset.duplicates import nearest_training_images
from nnrobust.nearest.dataset.neighbors import build_indexes, save_indexes
from nnrobust.runtime.outputs import finished_folder, write_csv
from nnrobust.runtime.process import run_stage
from nnrobust.runtime.progress import shown

INPUT = Path("data/prepared")
OUTPUT = Path("models/index")
NEAREST = Path("data/records/nearest_training.csv")


def main() -> None:
    dataset = load_dataset(INPUT).dataset
    with finished_folder(OUTPUT) as folder:
        save_indexes(build_indexes(dataset.train, len(dataset.classes)), folder)
    write_csv(NEAREST, nearest_training_images(dataset.train, dataset.test, shown))


if __name__ == "__main__":
    run_stage(main)
