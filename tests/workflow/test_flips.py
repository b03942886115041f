"""One flipped bit in anything that a stage leaves for another: it is read as it was, or refused by name."""

import random

import numpy as np
import pytest
import torch

from made.images import split_of
from made.records import certified
from nnrobust.data.datasets import SPLITS, Dataset, Pair, load_dataset, save_dataset, select_pairs
from nnrobust.errors import NnrobustError
from nnrobust.examples import Examples
from nnrobust.nearest.dataset.neighbors import build_indexes, load_indexes, save_indexes
from nnrobust.networks.storage import load_networks, save_networks, stored_pairs
from nnrobust.records import read_records, write_records
from nnrobust.runtime.seals import load_arrays, save_arrays
from nnrobust.runtime.store import WorkStore

N_FLIPS = 40
DATASET = Dataset("made", ["a", "b"], split_of(20, 2, (1, 8, 8), 0), split_of(10, 2, (1, 8, 8), 1))
STATE = {"w": torch.arange(300.0), "n": torch.tensor(3)}


def prepared(folder):
    save_dataset(DATASET, select_pairs(DATASET.classes, "all"), folder)


def read_prepared(folder):
    found = load_dataset(folder)
    parts = [getattr(found.dataset, split) for split in SPLITS]
    splits = [(np.asarray(part.images).tobytes(), part.labels.tobytes(), part.names) for part in parts]
    return splits, found.dataset.name, found.dataset.classes, found.pairs, found.channel_mean, found.channel_std


def index(folder):
    save_indexes(build_indexes(DATASET.train, 2), folder)


def read_index(folder):
    found = load_indexes(folder, DATASET.train, 2)
    return [(one.index.reconstruct_n(0, len(one)).tobytes(), one.references.centre.tobytes()) for one in found]


def networks(folder):
    save_networks(
        {"0-1": {"best": STATE, "last": {name: value + 1 for name, value in STATE.items()}}}, folder / "S.safetensors"
    )


def read_networks(folder):
    path = folder / "S.safetensors"
    (state,) = load_networks(path, [Pair(0, 1)], "last")
    return stored_pairs(path), {name: value.tolist() for name, value in state.items()}


def work(folder):
    WorkStore(folder, "code").save("key", {"state": STATE, "rows": [{"loss": 0.25}] * 9})


def read_work(folder):
    found = WorkStore(folder, "code").load("key")
    return {name: value.tolist() for name, value in found["state"].items()}, found["rows"]


def examples(folder):
    noise = np.random.default_rng(0).random((3, 1, 8, 8))
    few = np.arange(3)
    Examples((noise * 255).astype(np.uint8), noise, few > 0, few, few, few, noise[:, 0, 0, 0]).save(folder / "1NN.npz")


def read_examples(folder):
    return {name: value.tolist() for name, value in vars(Examples.load(folder / "1NN.npz")).items()}


def arrays(folder):
    save_arrays(folder / "plane.npz", {"axis": np.linspace(0, 1, 50), "regions": np.arange(200).reshape(20, 10) % 3})


def read_arrays(folder):
    return {name: value.tolist() for name, value in load_arrays(folder / "plane.npz", "run it again").items()}


def records(folder):
    write_records([certified(), certified(norm="Linf", split="train")], folder / "1NN.parquet")


def read_all_records(folder):
    return read_records(folder / "1NN.parquet").to_csv()


ARTEFACTS = {
    "images, labels, names": (prepared, read_prepared), "index": (index, read_index), "weights": (networks, read_networks),
    "work store": (work, read_work), "examples": (examples, read_examples), "arrays": (arrays, read_arrays),
    "records": (records, read_all_records),
}  # fmt: skip


@pytest.mark.parametrize("name", ARTEFACTS)
def test_what_has_a_flipped_bit_is_read_as_it_was_or_refused_by_an_error_that_names_it(tmp_path, name):
    make, read = ARTEFACTS[name]
    make(tmp_path)
    expected, generator, n_refused = read(tmp_path), random.Random(0), 0
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    sizes = [path.stat().st_size for path in files]
    for _ in range(N_FLIPS):
        (path,) = generator.choices(files, sizes)
        whole = path.read_bytes()
        damaged = bytearray(whole)
        damaged[generator.randrange(len(whole))] ^= 1 << generator.randrange(8)
        path.write_bytes(bytes(damaged))
        try:
            found, refused = read(tmp_path), None
        except NnrobustError as error:
            found, refused = expected, str(error)
        path.write_bytes(whole)
        assert found == expected, path
        assert refused is None or str(tmp_path) in refused
        n_refused += refused is not None
    assert n_refused > N_FLIPS / 2
