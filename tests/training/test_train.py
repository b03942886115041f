"""Training on small made images: what torch would do, seeds, groups, resuming, and trouble."""

import time
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

import nnrobust.training.train as module
from made.training import BUILD, CPU, TRADES, VALIDATION, recipe, tasks_of, train, training_set
from nnrobust.data.datasets import AllClasses
from nnrobust.errors import DataWarning, ParamError, TrainingError
from nnrobust.networks.architectures import build_network
from nnrobust.networks.stack import Stack
from nnrobust.runtime.machine import Machine, machine
from nnrobust.runtime.store import WorkStore
from nnrobust.training.epoch import GroupRun, crop_and_flip
from nnrobust.training.tasks import Task, hold_out
from nnrobust.training.train import fingerprints, train_all, train_with_retry
from nnrobust.training.validation import GroupImages, accuracies


@pytest.mark.parametrize("decay", [None, 0.5, 0.97])
def test_a_network_is_trained_as_torch_sgd_trains_it(dataset, decay):
    """The same first weights and batches through `torch.optim.SGD` and its schedule, and torch's average of the weights."""
    tasks = tasks_of(dataset, recipe(weight_averaging=decay))
    for task, result in zip(tasks, train(dataset, tasks), strict=True):
        network, generator = task.fresh(BUILD), task.generator(CPU)
        optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9, weight_decay=5e-3)
        schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2], 0.1)
        average = AveragedModel(
            network, avg_fn=lambda old, new, n: old + (new - old) * max(1 - (decay or 0), 1 / (n + 1))
        )
        x = torch.from_numpy(dataset.train.images[task.indices]).float() / 255
        y = torch.from_numpy(task.pair.targets(dataset.train.labels[task.indices]))
        for _ in range(3):
            for batch in torch.randperm(len(x), generator=generator).split(8):
                optimizer.zero_grad()
                F.cross_entropy(network(x[batch]), y[batch]).backward()
                optimizer.step()
                average.update_parameters(network)
            schedule.step()
        for name, value in (average.module if decay else network).state_dict().items():
            torch.testing.assert_close(result.state[name], value, rtol=1e-4, atol=1e-6)


def test_the_averages_are_what_is_validated_and_kept(dataset):
    """After two epochs the best network is that of epoch 2, or that of a run of one epoch; rows are of what is kept."""
    tasks = tasks_of(dataset, recipe(epochs=2, milestones=(1,), weight_averaging=0.9, checkpoint="best"))
    one, other = (
        train(dataset, [replace(t, recipe=replace(t.recipe, weight_averaging=a)) for t in tasks]) for a in (0.9, None)
    )
    for task, averaged, plain in zip(tasks, one, other, strict=True):
        assert [row["loss"] for row in averaged.rows] == [row["loss"] for row in plain.rows]
        assert not torch.equal(averaged.last["1.weight"], plain.last["1.weight"])
        held = GroupImages.of(
            torch.from_numpy(dataset.train.images), [task.held], [task.pair.targets(dataset.train.labels[task.held])]
        )
        for state, row in ((averaged.last, averaged.rows[-1]), (averaged.best, averaged.rows[averaged.best_epoch - 1])):
            clean, robust = accuracies(Stack.loaded(BUILD, [state], CPU), held, ("Linf",), VALIDATION, 100)
            assert (clean.item(), robust.item()) == (row["clean_accuracy"], row["robust_accuracy"])


@pytest.mark.parametrize("trades", [None, TRADES])
def test_the_same_seed_gives_the_same_weights_to_the_bit_and_another_seed_others(dataset, trades):
    one, again = (train(dataset, tasks_of(dataset, recipe(trades=trades))) for _ in range(2))
    other = train(dataset, tasks_of(dataset, recipe(trades=trades, seed=1)))
    for first, second, third in zip(one, again, other, strict=True):
        assert all(torch.equal(first.last[name], second.state[name]) for name in first.state)
        assert not torch.equal(first.state["1.weight"], third.state["1.weight"])


@pytest.mark.parametrize("trades", [None, TRADES])
def test_what_is_trained_beside_a_network_does_not_matter(dataset, trades):
    tasks = tasks_of(dataset, recipe(trades=trades, epochs=2))
    for alone, together in zip(train(dataset, tasks, group_size=1), train(dataset, tasks), strict=True):
        # The sign in the inner steps of TRADES turns a rounding error into a step where a gradient is next to zero.
        atol = 1e-5 if trades is None else 1e-3
        for name in alone.state:
            torch.testing.assert_close(alone.state[name], together.state[name], rtol=1e-3, atol=atol)


def test_networks_of_one_group_may_have_settings_of_their_own(dataset):
    pairs = tasks_of(dataset, recipe())
    mixed = [
        replace(task, recipe=recipe(learning_rate=rate)) for task, rate in zip(pairs, (0.1, 0.05, 0.2), strict=True)
    ]
    results = train(dataset, mixed)
    for task, result in zip(mixed, results, strict=True):
        (alone,) = train(dataset, [task])
        torch.testing.assert_close(result.state["1.weight"], alone.state["1.weight"], rtol=1e-3, atol=1e-5)


def test_tasks_of_different_shapes_are_trained_all_the_same(dataset):
    tasks = tasks_of(dataset, recipe())
    tasks[1] = replace(tasks[1], indices=tasks[1].indices[:25], recipe=recipe(epochs=1))
    assert [len(result.rows) for result in train(dataset, tasks)] == [3, 1, 3]


@pytest.mark.slow
def test_training_learns(dataset):
    tasks = tasks_of(dataset, recipe(epochs=30, milestones=(28,)))
    for task, result in zip(tasks, train(dataset, tasks), strict=True):
        network = BUILD()
        network.load_state_dict(result.state)
        x = torch.from_numpy(dataset.train.images[task.indices]).float() / 255
        right = network(x).argmax(1).numpy() == task.pair.targets(dataset.train.labels[task.indices])
        assert right.mean() > 0.9
        assert result.rows[-1]["loss"] < result.rows[0]["loss"] / 2


def test_torch_and_its_generator_are_left_as_they_were(dataset):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    train(dataset, tasks_of(dataset, recipe(epochs=1)))
    assert torch.equal(torch.get_rng_state(), before)


def test_crops_are_shifts_of_the_padded_image_and_flips_mirror_it():
    images = torch.arange(1.0, 65).view(1, 1, 1, 8, 8).repeat(2, 200, 1, 1, 1)
    changed = crop_and_flip(images, torch.rand(2, 3, 200, generator=torch.Generator().manual_seed(0)))
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
    plain, augmented = (train(dataset, tasks_of(dataset, recipe(epochs=1, augment=a))) for a in (False, True))
    assert not torch.equal(plain[0].state["1.weight"], augmented[0].state["1.weight"])


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_not_there_is_an_error():
    with pytest.raises(ParamError, match=r"compute\.device: expected a CUDA device"):
        machine("cuda", 1, 1)
    assert machine("auto", 1, 1).device.type == "cpu"


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@needs_gpu
@pytest.mark.parametrize("trades", [None, TRADES])
def test_training_on_a_gpu_agrees_with_the_cpu(dataset, trades):
    """Same first weights, other batches: what is compared is how well it learns, as graphs and streams change nothing else."""
    tasks = tasks_of(dataset, recipe(epochs=20, milestones=(18,), learning_rate=0.02, trades=trades))
    there = train_all(tasks, training_set(dataset), VALIDATION, replace(machine("cuda", 1, 100), n_streams=3))
    for one, other in zip(train(dataset, tasks), there, strict=True):
        assert one.rows[0]["loss"] == pytest.approx(other.rows[0]["loss"], abs=0.15)
        assert other.rows[-1]["loss"] < other.rows[0]["loss"]
        assert trades is not None or one.rows[-1]["loss"] == pytest.approx(other.rows[-1]["loss"], abs=0.15)
        assert other.rows[-1]["clean_accuracy"] >= 0.8


@needs_gpu
@pytest.mark.parametrize("trades", [None, TRADES])
def test_on_a_gpu_one_graph_does_what_single_steps_do(dataset, trades):
    """The first epoch is decided by what its generator draws: with graphs and without them."""
    tasks, data = tasks_of(dataset, recipe(epochs=1, learning_rate=0.02, trades=trades))[:1], training_set(dataset)
    computer = machine("cuda", 1, 100)
    (captured,) = train_all(tasks, data, VALIDATION, computer)
    pixels = torch.from_numpy(data.images).cuda()
    run = GroupRun(tasks, data, pixels, VALIDATION, computer)
    run.stream = None
    for _ in run.steps():
        pass
    run.end_epoch()
    for name, value in run.trained()[0].last.items():
        torch.testing.assert_close(value, captured.last[name], rtol=1e-3, atol=1e-5)


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


@pytest.mark.slow
@pytest.mark.parametrize(("trades", "decay"), [(None, None), (TRADES, None), (TRADES, 0.9)])
@pytest.mark.parametrize("n_epochs", [1, 2, 4, 5])
def test_a_killed_run_goes_on_to_the_same_weights_to_the_bit(dataset, tmp_path, trades, decay, n_epochs):
    tasks = tasks_of(dataset, recipe(trades=trades, augment=True, weight_averaging=decay, checkpoint="best"))
    whole = train(dataset, tasks, group_size=2)
    computer = Machine(CPU, 2, 100, store=WorkStore(tmp_path, "code"))
    arguments = (tasks, training_set(dataset), VALIDATION, computer)
    with pytest.raises(KeyboardInterrupt):
        train_all(*arguments, killed_after(n_epochs))
    resumed = train_all(*arguments)
    for one, two in zip(whole, resumed, strict=True):
        assert (one.rows, one.best_epoch) == (two.rows, two.best_epoch)
        for name in one.last:
            assert torch.equal(one.last[name], two.last[name])
            assert torch.equal(one.best[name], two.best[name])


def test_saves_that_take_long_are_few_and_what_is_stopped_at_the_end_of_an_epoch_is_saved(dataset, tmp_path):
    saved = []

    class Slow(WorkStore):
        def save(self, key, content):
            if "momenta" in content:
                saved.append(len(content["rows"][0]))
                time.sleep(0.2)
            super().save(key, content)

    tasks = tasks_of(dataset, recipe(epochs=6, milestones=(5,)))[:1]
    arguments = (tasks, training_set(dataset), VALIDATION, Machine(CPU, 1, 100, store=Slow(tmp_path, "code")))
    with pytest.raises(KeyboardInterrupt):
        train_all(*arguments, killed_after(4))
    assert saved == [1, 4]
    (resumed,) = train_all(*arguments)
    (whole,) = train(dataset, tasks)
    assert resumed.rows == whole.rows


@pytest.mark.slow
def test_a_group_killed_while_its_networks_are_kept_ends_with_the_same_weights(dataset, tmp_path):
    """One network of three is kept already: all three go on side by side, as the others alone would round otherwise."""
    tasks, whole = tasks_of(dataset, recipe(trades=TRADES)), WorkStore(tmp_path / "whole", "code")
    expected = train(dataset, tasks, store=whole)

    class Killed(WorkStore):
        def save(self, key, content):
            if "best_epoch" in content and len(list(self.folder.iterdir())) == 2:
                raise KeyboardInterrupt
            super().save(key, content)

    with pytest.raises(KeyboardInterrupt):
        train(dataset, tasks, store=Killed(tmp_path / "killed", "code"))
    again = train(dataset, tasks, store=WorkStore(tmp_path / "killed", "code"))
    for one, other in zip(expected, again, strict=True):
        assert all(torch.equal(value, other.last[name]) for name, value in one.last.items())
    assert len(list((tmp_path / "killed").iterdir())) == len(list((tmp_path / "whole").iterdir())) == 3


def test_networks_that_normalise_otherwise_are_not_taken_for_the_same(dataset, tmp_path):
    """The channel statistics are those of all classes: images of a third class change what a pair's network is."""
    store, tasks = WorkStore(tmp_path, "code"), tasks_of(dataset, recipe())[:1]
    other = training_set(dataset, partial(build_network, "small_cnn", (1, 8, 8), [0.5], [0.3], 2))
    computer = Machine(CPU, 3, 100, store=store)
    one, two = (train_all(tasks, data, VALIDATION, computer)[0].state for data in (training_set(dataset), other))
    anew = train_all(tasks, other, VALIDATION, Machine(CPU, 3, 100))[0].state
    assert all(torch.equal(value, two[name]) for name, value in anew.items())
    assert not all(torch.equal(value, two[name]) for name, value in one.items())


def test_what_is_trained_is_kept_and_a_new_pair_or_other_data_is_trained_alone(dataset, tmp_path):
    computer, counts = Machine(CPU, 3, 100, store=WorkStore(tmp_path, "code")), []
    tasks, data = tasks_of(dataset, recipe()), training_set(dataset)
    for some in (tasks[:2], tasks, tasks):
        train_all(some, data, VALIDATION, computer, counted(counts))
    changed = data.images.copy()
    changed[dataset.train.labels == 2] ^= 1
    for some in (tasks[:1], tasks):
        train_all(some, replace(data, images=changed), VALIDATION, computer, counted(counts))
    train_all(tasks[:1], data, replace(VALIDATION, steps=4), computer, counted(counts))
    # Epochs: two pairs side by side; the third; nothing; nothing, since pair 0-1 did not change; the two with class 2; another attack.
    assert counts == [3, 3, 0, 0, 3, 3]


@pytest.mark.slow
def test_the_best_checkpoint_is_the_network_after_its_best_epoch(dataset):
    """The same run cut off after that epoch ends with it; its learning rate is constant, so the schedule does not matter."""
    tasks = tasks_of(dataset, recipe(epochs=8, milestones=(), learning_rate=0.03, trades=TRADES, checkpoint="best"))
    results = train(dataset, tasks, group_size=1)
    for task, one in zip(tasks, results, strict=True):
        scores = [(row["robust_accuracy"], row["clean_accuracy"]) for row in one.rows]
        assert scores[one.best_epoch - 1] == max(scores)
        assert max(scores) not in scores[one.best_epoch :]
        (cut,) = train(dataset, [replace(task, recipe=replace(task.recipe, epochs=one.best_epoch))])
        assert all(torch.equal(value, one.best[name]) for name, value in cut.last.items())
        assert one.state is one.best
        assert replace(one, recipe=recipe()).state is one.last


def test_networks_are_validated_when_it_is_due_on_images_they_do_not_train_on(dataset):
    (task, *_), sparse = tasks_of(dataset, recipe(epochs=5)), replace(VALIDATION, every=2)
    (one,) = train_all([task], training_set(dataset), sparse, Machine(CPU, 1, 100))
    assert [row["clean_accuracy"] is not None for row in one.rows] == [False, True, False, True, True]
    assert not set(task.indices) & set(task.held)
    images = dataset.train.images.copy()
    images[task.held[::2]] = 255 - images[task.held[::2]]
    (other,) = train_all([task], replace(training_set(dataset), images=images), sparse, Machine(CPU, 1, 100))
    assert all(torch.equal(value, other.last[name]) for name, value in one.last.items())
    assert other.rows[-1]["clean_accuracy"] != one.rows[-1]["clean_accuracy"]


@pytest.mark.slow
def test_all_classes_at_once_are_trained_like_a_pair(dataset):
    classes, labels = AllClasses(3), dataset.train.labels
    data = training_set(dataset, partial(build_network, "small_cnn", (1, 8, 8), [0.4], [0.3], 3))
    task = Task(classes, *hold_out(classes, labels, 0.2, 0), recipe(epochs=30, milestones=(28,), learning_rate=0.03))
    (one,) = train_all([task], data, VALIDATION, Machine(CPU, 1, 100))
    assert one.failure is None
    assert one.rows[-1]["clean_accuracy"] > 0.8
    assert one.last["6.weight"].shape == (3, 512)


def diverging(task):
    return replace(task, recipe=replace(task.recipe, learning_rate=1e12))


def test_a_network_whose_loss_is_not_finite_is_failed_and_stops_no_other(dataset):
    first, second, third = tasks_of(dataset, recipe())
    results = train(dataset, [first, diverging(second), third])
    assert results[1].failure == "the loss of epoch 1 is not finite"
    alone = train(dataset, [first, third])
    for one, other in zip((results[0], results[2]), alone, strict=True):
        assert one.failure is None
        torch.testing.assert_close(one.last["1.weight"], other.last["1.weight"], rtol=1e-3, atol=1e-5)


def test_networks_that_all_failed_are_not_trained_on(dataset):
    results = train(dataset, [diverging(task) for task in tasks_of(dataset, recipe())])
    assert [len(one.rows) for one in results] == [1, 1, 1]


@pytest.mark.parametrize(("epochs", "judged"), [(1, 1), (3, 2), (4, 3), (9, 4)])
def test_a_network_at_chance_after_the_first_third_is_failed(dataset, epochs, judged):
    tasks = tasks_of(dataset, recipe(epochs=epochs, learning_rate=1e-9, milestones=()))[:1]
    stuck = partial(stuck_network)
    (one,) = train_all(tasks, training_set(dataset, stuck), VALIDATION, Machine(CPU, 1, 100))
    assert one.failure == f"no better than one answer for all held-out images after epoch {judged}"
    assert len(one.rows) == judged


def stuck_network():
    network = BUILD()
    with torch.no_grad():
        network[-1].weight.zero_()
        network[-1].bias.copy_(torch.tensor([1.0, 0.0]))
    return network


def test_a_failed_pair_is_tried_once_more_at_half_the_learning_rate(dataset):
    tasks = tasks_of(dataset, recipe())
    tasks[1] = replace(tasks[1], recipe=recipe(learning_rate=1e12))
    calls = []

    def noted(some):
        calls.append([(str(task.pair), task.recipe.learning_rate, task.recipe.seed) for task in some])
        return train(dataset, some)

    results, first_failures = train_with_retry(tasks, noted)
    assert calls[1:] == [[("0-2", 5e11, 0)]]
    assert first_failures == [None, "the loss of epoch 1 is not finite", None]
    assert results[1].failure
    assert results[1].recipe.learning_rate == 5e11


def out_of_memory_above(n_networks, made):
    """Runs for a device that has room for so many networks at a time; `made` notes each attempt at a group."""
    room = [n_networks]

    class Small(GroupRun):
        def __init__(self, tasks, *rest):
            made.append(len(tasks))
            room[0] -= len(tasks)
            if room[0] < 0:
                room[0] = n_networks
                raise torch.OutOfMemoryError("CUDA out of memory")
            super().__init__(tasks, *rest)

        def trained(self):
            room[0] += len(self.tasks)
            return super().trained()

    return Small


@pytest.mark.slow
@pytest.mark.parametrize(
    ("group_size", "n_streams", "attempts"), [(3, 1, [3, 1, 2, 1, 1]), (1, 3, [1] * 7), (2, 2, [2, 2, 1, 1, 1])]
)
def test_where_memory_does_not_suffice_fewer_networks_are_trained_at_once(
    dataset, monkeypatch, group_size, n_streams, attempts
):
    tasks, made = tasks_of(dataset, recipe()), []
    expected = train(dataset, tasks, group_size=1)
    monkeypatch.setattr(module, "GroupRun", out_of_memory_above(1, made))
    told = []
    computer = Machine(CPU, group_size, 100, n_streams=n_streams)
    results = train_all(tasks, training_set(dataset), VALIDATION, computer, watch=lambda some, *_: told.extend(some))
    assert len(told) == 3 * len(tasks)
    for one, other in zip(expected, results, strict=True):
        torch.testing.assert_close(one.last["1.weight"], other.last["1.weight"], rtol=1e-3, atol=1e-5)
    assert made == attempts


def test_a_network_that_does_not_fit_alone_is_an_error(dataset, monkeypatch):
    monkeypatch.setattr(module, "GroupRun", out_of_memory_above(0, []))
    with pytest.raises(
        TrainingError, match="pair 0-1: expected memory to train one network, got: .*; lower batch_size"
    ):
        train(dataset, tasks_of(dataset, recipe()))


@pytest.mark.slow
def test_groups_at_the_same_time_train_what_they_train_one_after_the_other(dataset):
    tasks = tasks_of(dataset, recipe(trades=TRADES))
    tasks[2] = replace(tasks[2], recipe=recipe(epochs=1))
    one, two = (train(dataset, tasks, group_size=1, n_streams=n) for n in (1, 3))
    for first, second in zip(one, two, strict=True):
        assert first.rows == second.rows
        assert all(torch.equal(value, second.last[name]) for name, value in first.last.items())


@pytest.mark.parametrize("n_epochs", [2, 3, 5])
def test_each_epoch_is_told_once_in_the_same_order_also_those_before_a_kill(dataset, tmp_path, n_epochs):
    tasks, told = tasks_of(dataset, recipe()), []

    def watch(some, epoch, rows):
        told.append(([str(task.pair) for task in some], epoch, len(rows)))

    computer = Machine(CPU, 2, 100, store=WorkStore(tmp_path, "code"))
    with pytest.raises(KeyboardInterrupt):
        train_all(tasks, training_set(dataset), VALIDATION, computer, killed_after(n_epochs))
    for _ in range(2):  # the second time, all of it is there
        train_all(tasks, training_set(dataset), VALIDATION, computer, watch=watch)
        assert told == [(["0-1", "0-2"], e, 2) for e in (1, 2, 3)] + [(["1-2"], e, 1) for e in (1, 2, 3)]
        told.clear()


def test_what_was_trained_before_is_told_as_far_as_each_network_came(dataset, tmp_path):
    tasks, told = tasks_of(dataset, recipe()), []
    store = WorkStore(tmp_path, "code")
    results = train(dataset, tasks, store=store)
    for key, result in zip(
        fingerprints(tasks, training_set(dataset), VALIDATION, Machine(CPU, 3, 100, store=store)), results, strict=True
    ):
        kept = store.load(key)
        store.save(key, kept | {"rows": result.rows[:1] if result is results[1] else result.rows})
    computer = Machine(CPU, 3, 100, store=store)
    train_all(
        tasks,
        training_set(dataset),
        VALIDATION,
        computer,
        watch=lambda some, epoch, rows: told.append((len(some), epoch, rows)),
    )
    assert [one[:2] for one in told] == [(3, 1), (2, 2), (2, 3)]
    assert told[1][2] == [results[0].rows[1], results[2].rows[1]]


def test_damaged_work_is_trained_again_to_the_same_weights(dataset, tmp_path):
    tasks, store = tasks_of(dataset, recipe()), WorkStore(tmp_path, "code")
    before = train(dataset, tasks, store=store)
    path = min(tmp_path.iterdir())
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.warns(DataWarning, match=f"{path}: was damaged .*; its work is done again"):
        after = train(dataset, tasks, store=store)
    for one, two in zip(before, after, strict=True):
        for name in one.state:
            torch.testing.assert_close(one.state[name], two.state[name], rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_bfloat16_learns_as_well_as_float32(dataset):
    tasks = tasks_of(dataset, recipe(epochs=10, milestones=(9,), learning_rate=0.02))
    exact, fast = (train(dataset, tasks, group_size=1, precision=one) for one in (torch.float32, torch.bfloat16))
    for one, other in zip(exact, fast, strict=True):
        losses = [[row["loss"] for row in result.rows] for result in (one, other)]
        assert losses[0] == pytest.approx(losses[1], abs=0.02)
        assert losses[0] != losses[1]
        assert one.rows[-1]["clean_accuracy"] == other.rows[-1]["clean_accuracy"] == 1.0
