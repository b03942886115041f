"""Kills stages at random moments, each N times, and then lets it run: `python kills.py N SEED [STAGE ...]` in a workspace.

One that has run, where N is above 0; stages that are not named are `STAGES`. Libraries are imported once, and each stage is a fork of
this process: so most of its time is its own work.
"""

import importlib
import json
import os
import random
import runpy
import signal
import sys
import time
from pathlib import Path

STAGES = (
    "prepare", "index", "search T_B", "train T_R", "train S", "attack T_R", "certify", "fit mean", "fit linear_L2", "grow",
    "plane", "examples 1NN", "examples T_R", "summarize", "judge", "plot",
)  # fmt: skip
LIBRARIES = (
    "dvclive.live", "faiss", "jinja2", "matplotlib.pyplot", "optuna", "pandas", "pyarrow.parquet", "pyautoattack", "pydantic",
    "ruamel.yaml", "safetensors.torch", "scipy.stats", "seaborn", "skimage.metrics", "sklearn.datasets", "torch", "torchvision",
    "yaml",
)  # fmt: skip
LONGEST = 2.0
"""Seconds after which a stage is killed at the latest."""


def start(stage: str, log: Path) -> int:
    """The id of a process that runs a stage, as `dvc repro` would."""
    script, *item = stage.split()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ |= {"DVC_STAGE": "@".join([f"dvc.yaml:{script}", *item]), "DVC_ROOT": os.getcwd()}
        sys.argv = [f"stages/{script}.py"]
        runpy.run_path(sys.argv[0], run_name="__main__")
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def killed(stage: str, seconds: float, log: Path) -> bool:
    """Whether a stage was still running after so many seconds, and was killed."""
    pid = start(stage, log)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def seconds_of(stage: str) -> float:
    """What the last run of a stage took."""
    return float(json.loads(Path(f".work/stages/{stage}.json").read_text())["seconds"])


def main() -> None:
    n, generator = int(sys.argv[1]), random.Random(int(sys.argv[2]))
    sys.path.insert(0, os.getcwd())
    for name in LIBRARIES:
        importlib.import_module(name)
    stages = sys.argv[3:] or STAGES
    log, n_kills, codes = Path("kills.log"), dict.fromkeys(stages, 0), {}
    for stage in stages:
        longest = min(LONGEST, seconds_of(stage) + 0.5) if n else 0.0
        while n_kills[stage] < n:
            n_kills[stage] += killed(stage, generator.uniform(0, longest), log)
            longest *= 0.8
        codes[stage] = os.waitstatus_to_exitcode(os.waitpid(start(stage, log), 0)[1])
    print(json.dumps({"kills": sum(n_kills.values()), "failed": [stage for stage, code in codes.items() if code]}))


if __name__ == "__main__":
    main()
