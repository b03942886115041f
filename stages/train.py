"""Trains one variant on every pair: `python stages/train.py VARIANT`."""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from nnrobust.compute import describe, machine
from nnrobust.datasets import load_dataset
from nnrobust.outputs import finished_file, write_json
from nnrobust.pair_networks import PairNetworks, save_networks
from nnrobust.params import Setting, read_params
from nnrobust.process import run_stage
from nnrobust.progress import shown
from nnrobust.store import WorkStore
from nnrobust.training import AS_IN_PARAMS, Task, history, train_all

INPUT = Path("data/prepared")
SEARCH = Path("models/search.json")
WORK = Path(".work")
N_TIMED = 512


def main() -> None:
    name = sys.argv[1]
    params, prepared = read_params("params.yaml"), load_dataset(INPUT)
    variant = params.variants[name]
    computer = machine(params.compute.device, params.compute.group_size, params.compute.batch_size)
    computer = replace(computer, store=WorkStore.of_loaded_code(WORK))
    networks = PairNetworks.of(prepared, "train", variant.architecture, computer)
    found = json.loads(SEARCH.read_text(encoding="utf-8"))
    variants = [variant] * len(prepared.pairs)
    if found["fingerprints"][name] != AS_IN_PARAMS:
        variants = [variant.with_setting(Setting(**found["settings"][str(pair)])) for pair in prepared.pairs]
    tasks = [Task(pair, pair.indices(networks.labels), one) for pair, one in zip(prepared.pairs, variants, strict=True)]

    start = time.perf_counter()
    trained = train_all(tasks, networks.images, networks.labels, networks.build, computer, shown)
    seconds = (time.perf_counter() - start) / len(tasks)
    states = {str(task.pair): result.state for task, result in zip(tasks, trained, strict=True)}
    save_networks(states, Path("models/trained") / f"{name}.safetensors")
    with finished_file(Path("metrics/history") / f"{name}.csv") as temporary:
        history(tasks, trained).to_csv(temporary, index=False)

    stack = networks.stack([trained[0].state]).to(computer.device).frozen()
    images = torch.from_numpy(networks.images[:N_TIMED]).to(computer.device).float() / 255
    start = time.perf_counter()
    stack.logits(images[None], training=False).cpu()
    timings = {
        "training_seconds_per_pair": seconds,
        "inference_seconds_per_image": (time.perf_counter() - start) / len(images),
        "device": describe(computer.device),
    }
    write_json(Path("metrics/timings") / f"{name}.json", timings)


if __name__ == "__main__":
    run_stage(main)
