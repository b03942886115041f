"""The cost of attacking the roster: FLOPs of every model counted, a few timed, the whole extrapolated.

    python benchmarks/zoo_cost.py [--models NAME ...] [--n-images 8] [--device cuda] [--out zoo_cost.csv]

Needs no weights: time and FLOPs do not depend on them. A pass is a forward and a backward pass of an image, to the input alone:
twice the forward's FLOPs. Models that compute while they are built are built for real, the others on torch's meta device.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from nnrobust.runtime.machine import describe, machine, plain_float32
from nnrobust.runtime.outputs import write_csv
from nnrobust.zoo.load import build
from nnrobust.zoo.models import find, roster

WITH_NUMBERS = {"Kang2021Stable", "Bai2023Improving_edm"}
FEW = [
    "Andriushchenko2020Understanding",
    "Engstrom2019Robustness",
    "Carmon2019Unlabeled",
    "Rebuffi2021Fixing_70_16_cutmix_ddpm",
    "Debenedetti2022Light_XCiT-S12",
]


def gflop(name: str) -> float:
    """GFLOP of a forward pass of one image."""
    with torch.device("cpu" if name in WITH_NUMBERS else "meta"), torch.no_grad():
        network, images = build(find(name)).eval(), torch.rand(1, 3, 32, 32)
        with FlopCounterMode(display=False) as counter:
            network(images)
    return counter.get_total_flops() / 1e9


def seconds_a_pass(name: str, n_images: int, device: torch.device, precision: torch.dtype) -> float:
    """Seconds of an image, forward and backward: the quicker of two batches after a first one."""
    network = build(find(name)).eval().requires_grad_(False).to(device, memory_format=torch.channels_last)
    images = torch.rand(n_images, 3, 32, 32, device=device).contiguous(memory_format=torch.channels_last)
    best = np.inf
    for _ in range(3):
        start = time.perf_counter()
        points = images.clone().requires_grad_()
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            value = network(points).float().logsumexp(dim=1).sum()
        torch.autograd.grad(value, points)
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return best / n_images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", default=FEW, help="those that are timed")
    parser.add_argument("--n-images", type=int, default=8)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--out", type=Path, default=Path("zoo_cost.csv"))
    options = parser.parse_args()
    device = machine(options.device, 1, options.n_images).device
    warnings.simplefilter("ignore")
    # Those with numbers first: after models on the meta device they find parts of robustbench there.
    work = {name: gflop(name) for name in sorted(roster(), key=lambda name: name not in WITH_NUMBERS)}
    rows = [(name, model.architecture, model.n_parameters, round(work[name], 3)) for name, model in roster().items()]
    table = pd.DataFrame(rows, columns=["model", "architecture", "millions", "gflop"])
    for precision in (torch.float32, torch.bfloat16):
        column = f"ms_a_pass_{str(precision).removeprefix('torch.')}"
        with plain_float32():
            times = {name: 1000 * seconds_a_pass(name, options.n_images, device, precision) for name in options.models}
        table[column] = table["model"].map(times).round(2)
        timed = table.dropna(subset=column)
        slope = float(np.exp(np.log(timed[column] / timed["gflop"]).mean()))
        total = slope * table["gflop"].sum()
        spread = (timed[column] / timed["gflop"] / slope).round(2).tolist()
        print(f"{describe(device)}, {column}: {slope:.3f} ms for each GFLOP of a forward pass, times {spread} by model")
        print(f"a pass of one image through all: {total:.0f} ms")
    write_csv(options.out, table)
    print(f"{len(table)} models, {table['gflop'].sum():.0f} GFLOP for a forward pass of one image through all")
    print(table.sort_values("gflop").iloc[[0, len(table) // 2, -1]].to_string(index=False))


if __name__ == "__main__":
    main()
