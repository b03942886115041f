"""The workflow's attacks beside AutoAttack's standard version, on real networks and images: verdicts, and processor time.

    python benchmarks/autoattack.py IMAGES FOLDER [--models cnn_a_adv ...] [--n-per-class 20] [--out TABLE.csv]

IMAGES is a folder or tar of {train,test}/<class>/ images, FOLDER one with the networks of the roster `verification`
(docs/zoo.md). All are attacked on the first test images of each class, in both norms, at Linf 8/255 and L2 8/255*sqrt(3072).
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd

from nnrobust import evaluate, load_model
from nnrobust.data.sources import read_image_folder
from nnrobust.runtime.outputs import write_csv

MODELS = ("cnn_a_adv", "cnn_a_mix", "conv_small_pgd", "madry_8px", "deep_kw", "small_8px", "resnet2b")
THREATS = {"Linf": "8/255", "L2": "8/255*sqrt(3072)"}
WAYS = ("default", "autoattack")


def robust(models: dict, images: np.ndarray, labels: np.ndarray, attacks: str) -> tuple[pd.DataFrame, dict[str, float]]:
    """Whether each image stands, by model and norm, and seconds of the processor by model."""
    frames, seconds = [], {}
    for name, model in models.items():
        start = time.process_time()
        records = evaluate({name: model}, images, labels, THREATS, attacks=attacks, device="cpu").records
        seconds[name] = time.process_time() - start
        frames.append(records.set_index(["classifier", "norm", "index"])[["is_correct", "is_robust"]])
    return pd.concat(frames), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--n-per-class", type=int, default=20)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    dataset = read_image_folder("images", options.images, None)
    test = dataset.test
    classes = np.unique(test.labels)
    rows = np.concatenate([np.flatnonzero(test.labels == one)[: options.n_per_class] for one in classes])
    models = {
        name: load_model(f"verification:{name}", folder=options.folder, classes=dataset.classes)
        for name in options.models
    }
    found = {way: robust(models, np.asarray(test.images[rows]), test.labels[rows], way) for way in WAYS}
    (ours, own), (standard, other) = (found[way] for way in WAYS)
    columns = pd.DataFrame({
        "clean": ours["is_correct"],
        "default": ours["is_robust"],
        "autoattack": standard["is_robust"],
        "fooled by default alone": ~ours["is_robust"] & standard["is_robust"],
        "by autoattack alone": ours["is_robust"] & ~standard["is_robust"],
    })  # fmt: skip
    groups = columns.groupby(level=[0, 1], sort=False)
    table = groups[["clean", "default", "autoattack"]].mean().join(groups[list(columns)[3:]].sum())
    table = table.assign(n=groups.size()).reset_index()
    table["times as long"] = table["classifier"].map({name: other[name] / own[name] for name in models})
    print(table.round(4).to_string(index=False))
    if options.out:
        write_csv(options.out, table.round(4))


if __name__ == "__main__":
    main()
