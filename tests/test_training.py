from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from nnrobust.compute import Machine, machine
from nnrobust.datasets import Pair
from nnrobust.errors import ParamError, TrainingError
from nnrobust.networks import build_network
from nnrobust.params import Perturbation, Trades, Variant
from nnrobust.store import WorkStore
from nnrobust.training import Task, crop_and_flip, history, train_all

CPU = torch.device("cpu")
BUILD = partial(build_network, "small_cnn", (1, 8, 8), [0.4], [0.3], 2)
TRADES = Trades(
    beta=6.0, combine="sum", perturbations=[Perturbation(norm="Linf", epsilon=0.05, step_size=0.0125, steps=3)]
)


def variant(**changes):
    values = {
        "architecture": "small_cnn", "epochs": 3, "batch_size": 16, "learning_rate": 0.05, "momentum": 0.9,
        "weight_decay": 5e-3, "milestones": [2], "decay": 0.1, "augment": False, "seed": 0, "trades": None,
    }  # fmt: skip
    return Variant(**(values | changes))


def tasks_of(dataset, one):
    return [Task(pair, pair.indices(dataset.train.labels), one) for pair in (Pair(0, 1), Pair(0, 2), Pair(1, 2))]


def train(dataset, tasks, group_size=3):
    return train_all(tasks, dataset.train.images, dataset.train.labels, BUILD, Machine(CPU, group_size, 100))


def test_a_network_is_trained_as_torch_sgd_trains_it(dataset, monkeypatch):
    """The same first weights and batches through `torch.optim.SGD` and its schedule, one network at a time."""
    import nnrobust.training as module

    starts = []

    def noted(build, generator, fresh=module._fresh):
        network = fresh(build, generator)
        starts.append({name: value.clone() for name, value in network.state_dict().items()})
        return network

    monkeypatch.setattr(module, "_fresh", noted)
    tasks = tasks_of(dataset, variant())
    results = train(dataset, tasks)
    for task, start, result in zip(tasks, starts, results, strict=True):
        network = BUILD()
        network.load_state_dict(start)
        optimizer = torch.optim.SGD(network.parameters(), 0.05, momentum=0.9, weight_decay=5e-3)
        schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2], 0.1)
        generator = module._generator(task)
        torch.randint(2**62, (1,), generator=generator)
        x = torch.from_numpy(dataset.train.images[task.indices]).float() / 255
        y = torch.from_numpy(task.pair.targets(dataset.train.labels[task.indices]))
        for _ in range(3):
            for batch in torch.randperm(len(x), generator=generator).split(16):
                optimizer.zero_grad()
                F.cross_entropy(network(x[batch]), y[batch]).backward()
                optimizer.step()
            schedule.step()
        for name, value in network.state_dict().items():
            torch.testing.assert_close(result.state[name], value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("trades", [None, TRADES])
def test_the_same_seed_gives_the_same_weights_to_the_bit_and_another_seed_others(dataset, trades):
    one, again = (train(dataset, tasks_of(dataset, variant(trades=trades))) for _ in range(2))
    other = train(dataset, tasks_of(dataset, variant(trades=trades, seed=1)))
    for first, second, third in zip(one, again, other, strict=True):
        assert all(torch.equal(first.state[name], second.state[name]) for name in first.state)
        assert not torch.equal(first.state["1.weight"], third.state["1.weight"])


@pytest.mark.parametrize("trades", [None, TRADES])
def test_what_is_trained_beside_a_network_does_not_matter(dataset, trades):
    tasks = tasks_of(dataset, variant(trades=trades, epochs=2))
    for alone, together in zip(train(dataset, tasks, group_size=1), train(dataset, tasks), strict=True):
        # The sign in the inner steps of TRADES turns a rounding error into a step where a gradient is next to zero.
        atol = 1e-5 if trades is None else 1e-3
        for name in alone.state:
            torch.testing.assert_close(alone.state[name], together.state[name], rtol=1e-3, atol=atol)


def test_networks_of_one_group_may_have_settings_of_their_own(dataset):
    pairs = tasks_of(dataset, variant())
    mixed = [
        Task(t.pair, t.indices, variant(learning_rate=rate)) for t, rate in zip(pairs, (0.05, 0.01, 0.1), strict=True)
    ]
    results = train(dataset, mixed)
    for task, result in zip(mixed, results, strict=True):
        (alone,) = train(dataset, [task])
        torch.testing.assert_close(result.state["1.weight"], alone.state["1.weight"], rtol=1e-3, atol=1e-5)


def test_tasks_of_different_shapes_are_trained_all_the_same(dataset):
    tasks = tasks_of(dataset, variant())
    tasks[1] = Task(tasks[1].pair, tasks[1].indices[:25], variant(epochs=1))
    results = train(dataset, tasks)
    assert [len(result.losses) for result in results] == [3, 1, 3]
    assert history(tasks, results)["pair"].tolist() == ["0-1"] * 3 + ["0-2"] + ["1-2"] * 3


def test_training_learns(dataset):
    tasks = tasks_of(dataset, variant(epochs=30, milestones=[28]))
    for task, result in zip(tasks, train(dataset, tasks), strict=True):
        network = BUILD()
        network.load_state_dict(result.state)
        x = torch.from_numpy(dataset.train.images[task.indices]).float() / 255
        right = network(x).argmax(1).numpy() == task.pair.targets(dataset.train.labels[task.indices])
        assert right.mean() > 0.9
        assert result.losses[-1] < result.losses[0] / 2


def test_torch_and_its_generator_are_left_as_they_were(dataset):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    train(dataset, tasks_of(dataset, variant(epochs=1)))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_loss_that_is_not_finite_stops_with_the_pair_and_the_epoch(dataset):
    with pytest.raises(
        TrainingError, match=r"pair 0-1, epoch \d+: the training loss is not finite; lower learning_rate"
    ):
        train(dataset, tasks_of(dataset, variant(learning_rate=1e12, epochs=10)))


def test_crops_are_shifts_of_the_padded_image_and_flips_mirror_it():
    images = torch.arange(1.0, 65).view(1, 1, 1, 8, 8).repeat(2, 200, 1, 1, 1)
    changed = crop_and_flip(images, [torch.Generator().manual_seed(i) for i in range(2)])
    padded = F.pad(images[0, 0, 0], (4,) * 4)
    crops = {
        tuple(x.flatten().tolist()): (top, left, flip)
        for top in range(9)
        for left in range(9)
        for flip in (False, True)
        for x in [padded[top : top + 8, left : left + 8]]
        for x in [x.flip(1) if flip else x]
    }
    seen = [crops[tuple(one.flatten().tolist())] for one in changed.flatten(0, 1)]
    assert {top for top, _, _ in seen} == {left for _, left, _ in seen} == set(range(9))
    assert 140 < sum(flip for _, _, flip in seen) < 260
    assert not torch.equal(changed[0], changed[1])


def test_augmented_training_runs_and_differs(dataset):
    plain, augmented = (train(dataset, tasks_of(dataset, variant(epochs=1, augment=a))) for a in (False, True))
    assert not torch.equal(plain[0].state["1.weight"], augmented[0].state["1.weight"])


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_not_there_is_an_error():
    with pytest.raises(ParamError, match=r"compute\.device: expected a CUDA device"):
        machine("cuda", 1, 1)
    assert machine("auto", 1, 1).device.type == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_training_on_a_gpu_agrees_with_the_cpu(dataset):
    tasks = tasks_of(dataset, variant(epochs=1))
    there = train_all(tasks, dataset.train.images, dataset.train.labels, BUILD, machine("cuda", 3, 100))
    for one, other in zip(train(dataset, tasks), there, strict=True):
        torch.testing.assert_close(one.state["1.weight"], other.state["1.weight"], rtol=1e-2, atol=1e-4)


def test_history_counts_epochs_from_one(dataset):
    tasks = tasks_of(dataset, variant(epochs=2))
    table = history(tasks, train(dataset, tasks))
    assert table.columns.tolist() == ["pair", "epoch", "loss"]
    assert table["epoch"].tolist() == [1, 2] * 3
    assert np.isfinite(table["loss"]).all()


def killed_after(n_epochs):
    def progress(work, _):
        for n, one in enumerate(work):
            if n == n_epochs:
                raise KeyboardInterrupt
            yield one

    return progress


def counted(counts):
    def progress(work, _):
        counts.append(len(work))
        return work

    return progress


@pytest.mark.parametrize("trades", [None, TRADES])
@pytest.mark.parametrize("n_epochs", [1, 2, 4, 5])
def test_a_killed_run_goes_on_to_the_same_weights_to_the_bit(dataset, tmp_path, trades, n_epochs):
    tasks = tasks_of(dataset, variant(trades=trades, augment=True))
    whole = train(dataset, tasks, group_size=2)
    computer = Machine(CPU, 2, 100, WorkStore(tmp_path, "code"))
    arguments = (tasks, dataset.train.images, dataset.train.labels, BUILD, computer)
    with pytest.raises(KeyboardInterrupt):
        train_all(*arguments, killed_after(n_epochs))
    resumed = train_all(*arguments)
    for one, two in zip(whole, resumed, strict=True):
        assert one.losses == two.losses
        assert all(torch.equal(value, two.state[name]) for name, value in one.state.items())


def test_networks_that_normalise_otherwise_are_not_taken_for_the_same(dataset, tmp_path):
    """The channel statistics are those of all classes: images of a third class change what a pair's network is."""
    computer, tasks = Machine(CPU, 3, 100, WorkStore(tmp_path, "code")), tasks_of(dataset, variant())[:1]
    other = partial(build_network, "small_cnn", (1, 8, 8), [0.5], [0.3], 2)
    arguments = (dataset.train.images, dataset.train.labels)
    one, two = (train_all(tasks, *arguments, build, computer)[0].state for build in (BUILD, other))
    anew = train_all(tasks, *arguments, other, Machine(CPU, 3, 100))[0].state
    assert all(torch.equal(value, two[name]) for name, value in anew.items())
    assert not all(torch.equal(value, two[name]) for name, value in one.items())


def test_what_is_trained_is_kept_and_a_new_pair_or_other_data_is_trained_alone(dataset, tmp_path):
    computer, counts = Machine(CPU, 3, 100, WorkStore(tmp_path, "code")), []
    tasks, images = tasks_of(dataset, variant()), dataset.train.images
    train_all(tasks[:2], images, dataset.train.labels, BUILD, computer, counted(counts))
    train_all(tasks, images, dataset.train.labels, BUILD, computer, counted(counts))
    train_all(tasks, images, dataset.train.labels, BUILD, computer, counted(counts))
    changed = images.copy()
    changed[dataset.train.labels == 2] ^= 1
    train_all(tasks[:1], changed, dataset.train.labels, BUILD, computer, counted(counts))
    train_all(tasks, changed, dataset.train.labels, BUILD, computer, counted(counts))
    # Epochs: two pairs side by side; the third; nothing; nothing, since pair 0-1 did not change; the two with class 2.
    assert counts == [3, 3, 0, 0, 3]
