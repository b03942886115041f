"""Builds and times the exact FAISS index of each class, and finds the nearest training image of each test image."""

import time
from pathlib import Path

import faiss
import numpy as np

from nnrobust.data.datasets import load_dataset
from nnrobust.nearest.duplicates import nearest_training_images
from nnrobust.nearest.neighbors import build_indexes, propose, save_indexes
from nnrobust.runtime.outputs import finished_folder, write_csv, write_json
from nnrobust.runtime.process import run_stage
from nnrobust.runtime.progress import shown
from nnrobust.runtime.timing import inference_seconds

INPUT = Path("data/prepared")
OUTPUT = Path("models/index")
TIMINGS = Path("metrics/timings/1NN.json")
NEAREST = Path("data/records/nearest_training.csv")


def main() -> None:
    dataset = load_dataset(INPUT).dataset
    start = time.perf_counter()
    indexes = build_indexes(dataset.train, len(dataset.classes))
    seconds = (time.perf_counter() - start) / len(indexes) * 2
    with finished_folder(OUTPUT) as folder:
        save_indexes(indexes, folder)

    def classify(images: np.ndarray) -> None:
        for index in indexes[:2]:
            propose(index, images.reshape(len(images), -1), 1)

    timings = {
        "training_seconds_per_pair": seconds,
        "inference_seconds_per_image": inference_seconds(classify, np.asarray(dataset.test.images)),
        "device": f"CPU, {faiss.omp_get_max_threads()} threads",
    }
    write_json(TIMINGS, timings)
    write_csv(NEAREST, nearest_training_images(dataset.train, dataset.test, shown))


if __name__ == "__main__":
    run_stage(main)
