"""Whether a pipeline's outputs are the same bytes on other processors: on this one, and on others that QEMU emulates.

    python benchmarks/processors.py [--processors Haswell-v4 EPYC-Rome] [--profile smoke] [--stages attack@S plane ...]
        [--out TABLE.csv]

Every stage of the last commit runs under `qemu-x86_64 -cpu NAME` (Debian's package qemu-user, 7.2 or newer), which has the maker,
the name and the instructions of that processor and no others: Haswell-v4 is an Intel one with AVX2, EPYC-Rome an AMD one with it.
Emulation takes twenty to forty times as long. The table has one row an output: its md5 here, and whether each other processor
gave the same. Processors run side by side.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import yaml

from nnrobust.runtime.kernels import PINNED
from nnrobust.runtime.outputs import write_csv

ROOT = Path(__file__).parent.parent


def run(processor: str | None, profile: str, stages: list[str], folder: Path) -> dict[str, str]:
    """The md5 of each output that the pipeline of the last commit made, by path, with these stages at its end, or whole.

    None: this processor, without an emulator.
    """
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    # Processes that a process starts are not emulated: neither workers, nor the one that stages are forked from.
    (folder / "profiles" / "alone.yaml").write_text(f"extends: {profile}\ncompute: {{engine: local}}\n")
    wiring = (folder / "dvc.yaml").read_text()
    (folder / "dvc.yaml").write_text(wiring.replace("python -m nnrobust.runtime $PPID stages/", "python stages/"))
    environment = os.environ | PINNED | {"PYTHONPATH": str(folder), "DVC_NO_ANALYTICS": "1"}
    subprocess.run([sys.executable, "scripts/compose.py", "alone", "--force"], cwd=folder, env=environment, check=True)
    commands = folder / ".work" / "bin"
    commands.mkdir(parents=True)
    emulator = "" if processor is None else f"qemu-x86_64 -cpu {processor} "
    (commands / "python").write_text(f'#!/bin/sh\nexec {emulator}{sys.executable} "$@"\n')
    (commands / "python").chmod(0o755)
    environment["PATH"] = f"{commands}:{environment['PATH']}"
    command = [sys.executable, "-m", "dvc", "repro", "--no-run-cache", *stages]
    done = subprocess.run(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode:
        raise SystemExit(f"{processor or 'this processor'}: {done.stdout[-2000:]}")
    ran = re.findall(r"Running stage '(.+?)'", done.stdout)
    lock = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    return {out["path"]: out["md5"] for stage in ran for out in lock[stage].get("outs", [])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processors", nargs="+", default=["Haswell-v4", "EPYC-Rome"])
    parser.add_argument("--profile", default="smoke")
    parser.add_argument("--stages", nargs="+", default=[], help="and those that they need; all")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        started = {
            name: pool.submit(run, name, options.profile, options.stages, Path(folder) / (name or "here"))
            for name in (None, *options.processors)
        }
        found = {name: future.result() for name, future in started.items()}
    here = found.pop(None)
    table = pd.DataFrame({
        "output": list(here), "md5": list(here.values()),
        **{name: [other.get(path) == md5 for path, md5 in here.items()] for name, other in found.items()},
    })  # fmt: skip
    print(table.to_string(index=False))
    for name in found:
        print(f"{name}: {int(table[name].sum())} of {len(table)} outputs are the same bytes")
    if options.out:
        write_csv(options.out, table)
    if not table[list(found)].all(axis=None):
        raise SystemExit("some outputs differ")


if __name__ == "__main__":
    main()
