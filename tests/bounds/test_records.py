"""What linear bounds make of a network's attacked records."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from made.pretrained import SHAPE, block, network
from made.records import columns
from nnrobust.bounds import records as module
from nnrobust.bounds.files import FromFile
from nnrobust.bounds.layers import layers_of
from nnrobust.bounds.margins import margins
from nnrobust.bounds.records import Proofs, with_proofs
from nnrobust.data.datasets import Dataset, Pair, Split, save_dataset
from nnrobust.errors import DataError, RecordError
from nnrobust.models.load import built_by, load_block
from nnrobust.networks.restriction import Restricted
from nnrobust.records import check_records, to_frame
from nnrobust.runtime.machine import Local
from nnrobust.runtime.processes import Processes
from nnrobust.threat import ThreatModel

CLASSES = ["cat", "dog", "frog"]
PAIRS = [Pair(0, 1), Pair(0, 2), Pair(1, 2)]
LINF, L2, SMALL_L2 = ThreatModel("Linf", 0.004), ThreatModel("L2", 0.004 * 192**0.5), ThreatModel("L2", 0.01)


@pytest.fixture
def proofs(tmp_path):
    generator = np.random.default_rng(0)
    splits = [
        Split(generator.integers(0, 256, (n, *SHAPE), dtype=np.uint8), np.arange(n) % 3, [f"{i}.png" for i in range(n)])
        for n in (12, 30)
    ]
    (tmp_path / "prepared").mkdir()
    save_dataset(Dataset("made", CLASSES, *splits), PAIRS, tmp_path / "prepared")
    torch.save(network().state_dict(), tmp_path / "mine.pt")
    return Proofs(FromFile(block(), tmp_path, tuple(CLASSES)), tmp_path / "prepared")


def logits_of(proofs, split):
    part = getattr(proofs.dataset, split)
    with torch.no_grad():
        return part, load_block(block(), proofs.networks.folder, CLASSES)(
            torch.from_numpy(np.array(part.images) / 255).float()
        ).numpy()


def attacked(proofs, threats):
    """Records of both problems, as those of an attack that fools no image that is right."""
    frames = []
    for split in ("train", "test"):
        part, logits = logits_of(proofs, split)
        for pair in [*PAIRS, None]:
            ids = np.arange(3) if pair is None else pair.class_ids()
            rows = np.flatnonzero(np.isin(part.labels, ids))
            predicted = ids[logits[rows][:, ids].argmax(axis=1)].astype(np.int16)
            correct = predicted == part.labels[rows]
            for threat in threats:
                frames.append(to_frame(columns(
                    len(rows), split=split, pair="all" if pair is None else str(pair), classifier="mine", index=rows.astype(np.int32),
                    label=part.labels[rows].astype(np.int16), prediction=predicted, is_correct=correct, is_robust=correct,
                    radius_upper=np.where(correct, np.inf, 0.0), norm=threat.norm, epsilon=threat.epsilon,
                )))  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def expected(proofs, split, threat):
    """The margins of all images of a split."""
    part, _ = logits_of(proofs, split)
    found = load_block(block(), proofs.networks.folder, CLASSES)
    layers = layers_of(found, SHAPE)
    return margins(layers, np.array(part.images), part.labels, ThreatModel(threat.norm, threat.epsilon * (1 + 1e-9)))


@pytest.mark.parametrize("engine", [Local(), Processes(2)], ids=["here", "processes"])
def test_an_image_is_proven_where_its_label_wins_over_every_other_class_of_its_problem(proofs, engine):
    records = attacked(proofs, [LINF, SMALL_L2])
    found = with_proofs(proofs, records, engine)
    check_records(found, "here")
    pd.testing.assert_frame_equal(found.assign(radius_lower=0.0), records)
    for threat in (LINF, SMALL_L2):
        proven = []
        for split in ("train", "test"):
            bounds = expected(proofs, split, threat)
            for pair in [*PAIRS, "all"]:
                rows = found[(found["split"] == split) & (found["pair"] == str(pair)) & (found["norm"] == threat.norm)]
                ids = np.arange(3) if pair == "all" else pair.class_ids()
                wins = (bounds[rows["index"]][:, ids] > 0).all(axis=1)
                assert (rows["radius_lower"] == np.where(wins, threat.epsilon * (1 + 1e-9), 0)).all()
                proven.append(wins.mean())
        assert 0.02 < np.mean(proven) < 0.9


@dataclass(frozen=True)
class OfPairs:
    """A network of each pair: the two logits of one of all classes, as a network of its own."""

    folder: Path

    def key(self, problem):
        return problem

    def layers(self, key):
        found = load_block(block(), self.folder, CLASSES)
        return layers_of(Restricted(found, [int(one) for one in key.split("-")]), SHAPE)


def test_networks_of_pairs_prove_what_the_two_logits_of_one_network_do(proofs):
    records = attacked(proofs, [LINF])
    records = records[records["pair"] != "all"].reset_index(drop=True)
    of_pairs = with_proofs(Proofs(OfPairs(proofs.networks.folder), proofs.dataset), records)
    found = with_proofs(proofs, records)
    assert (found["radius_lower"] > 0).any()
    pd.testing.assert_frame_equal(of_pairs, found)


def test_what_was_bounded_for_one_problem_is_known_for_the_next(proofs, monkeypatch):
    records = attacked(proofs, [LINF])
    whole, asked = with_proofs(proofs, records), []
    monkeypatch.setattr(
        module, "margins", lambda layers, images, *args: asked.append(len(images)) or margins(layers, images, *args)
    )
    again, parts = Proofs(proofs.networks, proofs.data), []
    for _, part in records.groupby("pair", observed=True):
        parts.append(with_proofs(again, part).set_axis(part.index))
    pd.testing.assert_frame_equal(pd.concat(parts).sort_index(), whole)
    assert sum(asked) == len(records.loc[records["is_robust"], ["split", "index"]].drop_duplicates())


def test_where_there_is_nothing_to_prove_no_bound_is_taken(proofs, monkeypatch):
    records = attacked(proofs, [L2, LINF])
    records.loc[records["split"] == "train", "is_robust"] = False
    asked = []
    monkeypatch.setattr(module, "margins", lambda layers, images, labels, threat: asked.append((threat.norm, len(images)))
                        or margins(layers, images, labels, threat))  # fmt: skip
    found = with_proofs(proofs, records)
    assert asked[0][0] == "Linf"  # the ball that the other contains comes first
    of_norm = {norm: sum(n for name, n in asked if name == norm) for norm in ("Linf", "L2")}
    standing = records[records["is_robust"] & (records["norm"] == "Linf")]
    assert of_norm["Linf"] == len(standing[["split", "index"]].drop_duplicates()) < 42
    proven = found[(found["radius_lower"] > 0) & (found["norm"] == "Linf")]
    assert of_norm["L2"] == len(proven[["split", "index"]].drop_duplicates()) > 0


def test_of_a_network_that_no_image_is_left_of_nothing_is_proven(proofs):
    records = attacked(proofs, [L2, LINF]).assign(is_robust=False)
    pd.testing.assert_frame_equal(with_proofs(proofs, records), records.assign(radius_lower=0.0))


def test_an_image_that_is_proven_robust_and_fell_is_an_error(proofs):
    records = attacked(proofs, [LINF])
    found = with_proofs(proofs, records)
    row = np.flatnonzero((found["radius_lower"] > 0) & (found["pair"] == "all"))[0]
    records.loc[row, "is_robust"] = False  # among all classes; on pairs it still stands, so its bounds are taken
    with pytest.raises(RecordError, match="1 images are proven robust and yet fell"):
        with_proofs(proofs, records)


WITH_SIGMOID = """
from torch import nn
def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.Sigmoid(), nn.Linear(4, 3))
"""


def test_a_network_without_linear_bounds_is_named_with_what_to_do(proofs, monkeypatch):
    folder, records = proofs.networks.folder, attacked(proofs, [LINF])
    monkeypatch.chdir(folder)
    (folder / "sigmoid.py").write_text(WITH_SIGMOID)
    model = block(architecture="sigmoid.py:build")
    torch.save(built_by(model.architecture).state_dict(), folder / "mine.pt")
    with pytest.raises(DataError, match="mine: .*, got Sigmoid; .*take it out of bounds.models"):
        with_proofs(Proofs(FromFile(model, folder, tuple(CLASSES)), proofs.data), records)
