"""What linear bounds make of a network's attacked records."""

import numpy as np
import pandas as pd
import pytest
import torch

from made.pretrained import SHAPE, block, network
from made.records import columns
from nnrobust.bounds import records as module
from nnrobust.bounds.layers import layers_of
from nnrobust.bounds.margins import margins
from nnrobust.bounds.records import Work, bound_all
from nnrobust.data.datasets import Dataset, Pair, Split, save_dataset
from nnrobust.errors import DataError, RecordError
from nnrobust.models.load import built_by, load_block
from nnrobust.records import check_records, to_frame
from nnrobust.runtime.machine import Local
from nnrobust.runtime.processes import Processes
from nnrobust.threat import ThreatModel

CLASSES = ["cat", "dog", "frog"]
PAIRS = [Pair(0, 1), Pair(0, 2), Pair(1, 2)]
LINF, L2, SMALL_L2 = ThreatModel("Linf", 0.004), ThreatModel("L2", 0.004 * 192**0.5), ThreatModel("L2", 0.01)


@pytest.fixture
def work(tmp_path):
    generator = np.random.default_rng(0)
    splits = [
        Split(generator.integers(0, 256, (n, *SHAPE), dtype=np.uint8), np.arange(n) % 3, [f"{i}.png" for i in range(n)])
        for n in (12, 30)
    ]
    (tmp_path / "prepared").mkdir()
    save_dataset(Dataset("made", CLASSES, *splits), PAIRS, tmp_path / "prepared")
    torch.save(network().state_dict(), tmp_path / "mine.pt")
    return Work(block(), tmp_path, tmp_path / "prepared")


def logits_of(work, split):
    part = getattr(module.opened(work.prepared).dataset, split)
    with torch.no_grad():
        return part, load_block(work.model, work.folder, CLASSES)(
            torch.from_numpy(np.array(part.images) / 255).float()
        ).numpy()


def attacked(work, threats):
    """Records of both problems, as those of an attack that fools no image that is right."""
    frames = []
    for split in ("train", "test"):
        part, logits = logits_of(work, split)
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


def expected(work, split, threat):
    """The margins of all images of a split."""
    part, _ = logits_of(work, split)
    found = load_block(work.model, work.folder, CLASSES)
    layers = layers_of(found, SHAPE)
    return margins(layers, np.array(part.images), part.labels, ThreatModel(threat.norm, threat.epsilon * (1 + 1e-9)))


def test_an_image_is_proven_where_its_label_wins_over_every_other_class_of_its_problem(work):
    records = attacked(work, [LINF, SMALL_L2])
    for frame, threat in zip(bound_all(work, records, [SMALL_L2, LINF], Local()), [SMALL_L2, LINF], strict=True):
        check_records(frame, "here")
        assert set(frame["norm"]) == {threat.norm}
        assert len(frame) == len(records) // 2
        proven = []
        for split in ("train", "test"):
            bounds = expected(work, split, threat)
            for pair in [*PAIRS, "all"]:
                rows = frame[(frame["split"] == split) & (frame["pair"] == str(pair))]
                ids = np.arange(3) if pair == "all" else pair.class_ids()
                wins = (bounds[rows["index"]][:, ids] > 0).all(axis=1)
                assert (rows["is_robust"] == wins).all()
                proven.append(wins.mean())
        assert 0.02 < np.mean(proven) < 0.9
        assert (frame.loc[frame["is_robust"], "radius_lower"] > threat.epsilon).all()
        assert set(frame.loc[~frame["is_robust"], "radius_lower"]) == {0.0}


def test_processes_find_the_same(work):
    records = attacked(work, [LINF])
    (here,), (there,) = (list(bound_all(work, records, [LINF], engine)) for engine in (Local(), Processes(2)))
    pd.testing.assert_frame_equal(here, there)


def test_where_there_is_nothing_to_prove_no_bound_is_taken(work, monkeypatch):
    records = attacked(work, [LINF, L2])
    records.loc[records["split"] == "train", "is_robust"] = False
    asked = []
    monkeypatch.setattr(module, "margins", lambda layers, images, labels, threat: asked.append((threat.norm, len(images)))
                        or margins(layers, images, labels, threat))  # fmt: skip
    frames = list(bound_all(work, records, [L2, LINF], Local()))
    assert [frame["norm"].iloc[0] for frame in frames] == ["Linf", "L2"]  # the ball that the other contains comes first
    of_norm = {norm: sum(n for name, n in asked if name == norm) for norm in ("Linf", "L2")}
    standing = records[records["is_robust"] & (records["norm"] == "Linf")]
    assert of_norm["Linf"] == len(standing[["split", "index"]].drop_duplicates()) < 42
    assert of_norm["L2"] == len(frames[0].loc[frames[0]["is_robust"], ["split", "index"]].drop_duplicates())


def test_an_image_that_is_proven_robust_and_fell_is_an_error(work):
    records = attacked(work, [LINF])
    (frame,) = bound_all(work, records, [LINF], Local())
    row = np.flatnonzero(frame["is_robust"] & (frame["pair"] == "all"))[0]
    records.loc[row, "is_robust"] = False  # among all classes; on pairs it still stands, so its bounds are taken
    with pytest.raises(RecordError, match="1 images are proven robust and yet fell"):
        list(bound_all(work, records, [LINF], Local()))


NO_RECORDS = to_frame(columns(0))
WITH_SIGMOID = """
from torch import nn
def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.Sigmoid(), nn.Linear(4, 3))
"""


def test_a_network_without_linear_bounds_is_named_with_what_to_do(work, monkeypatch):
    monkeypatch.chdir(work.folder)
    (work.folder / "sigmoid.py").write_text(WITH_SIGMOID)
    model = block(architecture="sigmoid.py:build")
    torch.save(built_by(model.architecture).state_dict(), work.folder / "mine.pt")
    with pytest.raises(DataError, match="mine: .*, got Sigmoid; .*take it out of bounds.models"):
        list(bound_all(Work(model, work.folder, work.prepared), NO_RECORDS, [LINF], Local()))
