"""Two Ray workers, or two processes, on this machine against this process."""

import os
import subprocess
import sys
import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from made.project import params_of
from made.training import TRADES, VALIDATION, recipe, tasks_of, train, training_set
from made.victims import Small, network_problem
from made.work import KilledOnce, in_which_process, killed_once, refused, square
from nnrobust.attacks.batches import attack_in_blocks
from nnrobust.attacks.pairs import PairSource
from nnrobust.attacks.verdicts import AttackInputs
from nnrobust.attacks.victim import AttackSpec
from nnrobust.data.datasets import Pair, save_dataset
from nnrobust.errors import ParamError, TrainingError
from nnrobust.nearest.dataset.by_class import Work, certified
from nnrobust.nearest.dataset.neighbors import build_indexes, save_indexes
from nnrobust.nearest.distances.screening import Effort
from nnrobust.runtime.cluster import Ray, attack_machine, engine_of, training_machine
from nnrobust.runtime.machine import Local, Machine
from nnrobust.runtime.processes import Processes
from nnrobust.runtime.store import WorkStore
from nnrobust.threat import ThreatModel
from nnrobust.training.train import train_all


@pytest.fixture(scope="module", params=["processes", "ray"])
def cluster(request):
    if request.param == "processes":
        yield Processes(2)
        return
    ray = pytest.importorskip("ray")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        n_cpus = 2 * torch.get_num_threads()
        # Workers import what the driver does, this file included.
        ray.init(num_cpus=n_cpus, include_dashboard=False, log_to_driver=False,
                 runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}})  # fmt: skip
        yield Ray(gpus_per_worker=0)
        ray.shutdown()


@pytest.mark.slow
def test_every_item_comes_back_with_its_number(cluster):
    assert dict(cluster.map(square, range(10))) == {i: i * i for i in range(10)}
    assert dict(cluster.map(square, [])) == {}


@pytest.mark.slow
def test_two_workers_share_the_work(cluster):
    processes = {pid for _, pid in cluster.map(in_which_process, range(6))}
    assert len(processes) == 2
    assert os.getpid() not in processes


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced_and_its_item_tried_again(cluster, tmp_path):
    marker = tmp_path / "died"
    if isinstance(cluster, Processes):
        with pytest.raises(
            ParamError, match=r"compute\.n_workers: expected 2 processes that go on, got one that was killed"
        ):
            list(cluster.map(partial(killed_once, marker), range(4)))
    assert dict(cluster.map(partial(killed_once, marker), range(4))) == {i: -i for i in range(4)}
    assert marker.exists()


@pytest.mark.slow
def test_an_error_of_the_work_arrives_as_it_was_raised(cluster):
    with pytest.raises(TrainingError, match="^expected nothing, got 7$"):
        dict(cluster.map(refused, [7]))


@pytest.mark.slow
@pytest.mark.parametrize("trades", [None, TRADES])
def test_workers_train_what_this_process_trains_to_the_bit(cluster, dataset, trades):
    tasks, told = tasks_of(dataset, recipe(trades=trades, augment=True, checkpoint="best")), []
    here = train(dataset, tasks, group_size=1)
    machine = replace(Machine(torch.device("cpu"), 1, 100), engine=cluster)
    there = train_all(
        tasks, training_set(dataset), VALIDATION, machine, watch=lambda some, epoch, _: told.append(epoch)
    )
    for one, other in zip(here, there, strict=True):
        assert one.rows == other.rows
        for name in one.last:
            assert torch.equal(one.last[name], other.last[name])
            assert torch.equal(one.best[name], other.best[name])
    assert sorted(told) == sorted(epoch for one in here for epoch in range(1, len(one.rows) + 1))


@pytest.mark.slow
def test_workers_attack_what_this_process_attacks(cluster):
    networks, inputs = [network_problem(seed)[1] for seed in range(2)], network_problem(0)[0]
    source = PairSource(Small, [one.state_dict() for one in networks])
    inputs = AttackInputs(inputs.images, inputs.targets, np.arange(60) % 2, inputs.ids)
    here = Machine(torch.device("cpu"), 1, 20)
    threats, attacks = [ThreatModel("Linf", 0.02), ThreatModel("L2", 0.2)], [AttackSpec("apgd-ce", 5, 1, 0)]
    one, other = (attack_in_blocks(source, inputs, threats, attacks, m) for m in (here, replace(here, engine=cluster)))
    for norm in ("Linf", "L2"):
        assert 0 < one[norm].is_fooled.sum() < 60
        for name in ("predictions", "is_fooled", "method"):
            assert np.array_equal(getattr(one[norm], name), getattr(other[norm], name))
        np.testing.assert_array_equal(one[norm].perturbation_norm, other[norm].perturbation_norm)


@pytest.mark.slow
def test_workers_certify_blocks_of_images_and_shards_of_references_though_one_is_killed(
    cluster, dataset, tmp_path, monkeypatch
):
    monkeypatch.setattr("nnrobust.nearest.dataset.by_class.BLOCK", 4)
    for name, value in (("TOGETHER", 400), ("APART", 150), ("LEAST", 1)):  # classes of 20 in three parts
        monkeypatch.setattr(f"nnrobust.nearest.dataset.shards.{name}", value)
    data, indexes = tmp_path / "data", tmp_path / "index"
    for folder in (data, indexes):
        folder.mkdir()
    save_dataset(dataset, [Pair(0, 1)], data)
    save_indexes(build_indexes(dataset.train, 3), indexes)
    labels, marker = {"test": dataset.test.labels}, tmp_path / "died"
    settings = data, indexes, "cpu", {"test": Effort(4, 8, 16)}
    if isinstance(cluster, Processes):  # which ends at a killed one, and is asked again
        with pytest.raises(ParamError, match=r"compute\.n_workers: expected 2 processes that go on"):
            certified(KilledOnce(*settings, marker), labels, cluster)
    there = certified(KilledOnce(*settings, marker), labels, cluster)["test"]
    assert marker.exists()
    here = certified(Work(*settings), labels, Local())["test"]
    np.testing.assert_array_equal(there.own, here.own)
    for name in ("half_gap", "bisector", "lower", "upper"):
        for key, values in getattr(here, name).items():
            np.testing.assert_array_equal(getattr(there, name)[key], values)


def test_work_on_a_processor_goes_to_the_engine_that_params_name():
    options, cpu = params_of("embedded").compute, torch.device("cpu")
    assert engine_of(options.model_copy(update={"engine": "ray"}), cpu) == Ray(gpus_per_worker=0)
    assert isinstance(engine_of(options.model_copy(update={"engine": "local"}), cpu), Local)
    assert engine_of(options.model_copy(update={"n_workers": 3}), cpu) == Processes(3)


def test_processes_are_for_machines_without_a_gpu_and_as_many_as_it_has_cores(monkeypatch):
    options = params_of("embedded").compute
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    assert attack_machine(options).engine == Processes(3)
    assert attack_machine(options.model_copy(update={"n_workers": 5})).engine == Processes(5)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert isinstance(attack_machine(options).engine, Local)


def test_a_single_item_is_mapped_in_this_process():
    assert list(Processes(2).map(in_which_process, [0])) == [(0, os.getpid())]


def test_on_a_machine_without_a_gpu_workers_want_none(tmp_path):
    options = params_of("paper").compute.model_copy(update={"engine": "ray", "device": "cpu"})
    machine = training_machine(options, WorkStore(tmp_path, "code"))
    assert machine.engine == Ray(gpus_per_worker=0)
    assert (machine.n_streams, machine.precision) == (1, torch.float32)


def test_workers_without_a_gpu_for_training_on_one_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    options = params_of("paper").compute
    with pytest.raises(
        ParamError, match=r"compute\.gpus_per_worker: expected more than 0 .*, got 0; give each worker a part"
    ):
        training_machine(
            options.model_copy(update={"engine": "ray", "gpus_per_worker": 0.0}), WorkStore(tmp_path, "code")
        )
    machine = training_machine(
        options.model_copy(update={"engine": "ray", "gpus_per_worker": 0.25}), WorkStore(tmp_path, "code")
    )
    assert machine.engine == Ray(gpus_per_worker=0.25)
    assert (machine.n_streams, machine.precision) == (4, torch.bfloat16)


def test_without_ray_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ParamError, match=r"compute\.engine: expected the package ray .*; `pip install \.\[cluster\]`"):
        list(Ray(0.5).map(square, [1]))


STARTED = """
import sys, threading
if "beside" in sys.argv:
    threading.Thread(target=threading.Event().wait, daemon=True).start()
import pyarrow.parquet
from nnrobust.runtime.processes import Processes, _pool
print(*sorted(Processes(2).map(abs, [-1, -2, -3])), _pool(2)._mp_context.get_start_method())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="workers are forks on Linux alone")
@pytest.mark.parametrize(("beside", "method"), [([], "fork"), (["beside"], "spawn")])
def test_workers_are_forks_of_a_process_that_has_no_other_thread(beside, method):
    """Each is tried with Arrow's thread there, which a fork does without."""
    command, alone = (
        [sys.executable, "-c", STARTED, *beside],
        os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    done = subprocess.run(command, env=alone, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == f"(0, 1) (1, 2) (2, 3) {method}\n"
