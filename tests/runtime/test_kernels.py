"""Kernels and threads that are the same on every processor."""

import json
import os
import subprocess
import sys

import pytest

from nnrobust.runtime.kernels import PINNED, kernels

SCRIPT = "import json, os\nprint(json.dumps(dict(os.environ)))\n"


def environment_of(folder, script, params):
    """What a stage's process prints, as JSON, in a folder with these params."""
    (folder / "stage.py").write_text(script)
    if params is not None:
        (folder / "params.yaml").write_text(params)
    command = [sys.executable, "-m", "nnrobust.runtime", str(os.getpid()), "stage.py"]
    plain = {name: value for name, value in os.environ.items() if name not in PINNED}
    done = subprocess.run(command, cwd=folder, env=plain, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_a_reproducible_stage_has_its_kernels_pinned(tmp_path):
    assert environment_of(tmp_path, SCRIPT, "compute: {reproducible: true}").items() >= PINNED.items()


@pytest.mark.parametrize(
    "params", [None, "compute: {reproducible: false}", "compute: {}", "compute: 3", "compute: {a", "\xff"]
)
def test_another_stage_has_not_and_a_file_that_cannot_be_read_is_left_to_its_reader(tmp_path, params):
    assert not set(environment_of(tmp_path, SCRIPT, params)) & set(PINNED)


@pytest.mark.slow
def test_the_libraries_do_as_they_are_told(tmp_path):
    script = """
import faiss, json, numpy, sklearn.metrics, torch
from numpy._core._multiarray_umath import __cpu_dispatch__ as dispatched, __cpu_features__ as features
from threadpoolctl import threadpool_info
torch.ones(300, 300) @ torch.ones(300, 300), numpy.ones((300, 300)) @ numpy.ones((300, 300))
pools = [pool for pool in threadpool_info()]
print(json.dumps({
    "torch": torch.backends.cpu.get_cpu_capability(), "faiss": faiss.SIMDConfig.get_level_name(),
    "wide": [name for name in dispatched if features[name] and name != "X86_V3"],
    "threads": sorted({pool["num_threads"] for pool in pools}), "blas": sorted({pool.get("architecture") for pool in pools} - {None}),
}))
"""
    found = environment_of(tmp_path, script, "compute: {reproducible: true}")
    assert found == {"torch": "AVX2", "faiss": "AVX2", "wide": [], "threads": [1], "blas": ["Haswell"]}


def test_provenance_says_which_kernels_were_used(monkeypatch):
    for name, value in PINNED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert kernels().startswith("of AVX2, one thread")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert kernels().startswith("the processor's own")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert kernels().startswith("the processor's own")
