"""Compares the classifiers over the pairs, and judges the controls and the paper's claims but those about times."""

from pathlib import Path

import pandas as pd

from nnrobust.claims.controls import controls_of
from nnrobust.claims.judge import ledger, ledger_table, setting_of
from nnrobust.claims.measures import Evidence
from nnrobust.claims.paper import CLAIMS, TIMED
from nnrobust.config.params import Params, read_params
from nnrobust.data.datasets import load_dataset
from nnrobust.examples import CHANGES, changes_table, load_each
from nnrobust.runtime.outputs import write_csv, write_json
from nnrobust.runtime.process import run_stage
from nnrobust.tables.comparison import paired_table, scores, seed_spread, whole_scores
from nnrobust.zoo.models import roster

PREPARED, METRICS, EXAMPLES = Path("data/prepared"), Path("metrics"), Path("data/records/examples")
COMMON = Path("data/common.csv")


def changes(params: Params) -> pd.DataFrame:
    """What fools classifiers on the images of figures 1 and 7."""
    examples = load_each(EXAMPLES, params.examples.classifiers)
    tables = [changes_table(found, name, params.epsilon.model_dump()) for name, found in examples.items()]
    return pd.concat(tables) if tables else pd.DataFrame(columns=CHANGES)


def read(params: Params, n_dimensions: int) -> Evidence:
    """What the run has measured."""
    zoo, published, pairs, unions = (
        pd.read_csv(METRICS / f"{name}.csv") for name in ("zoo", "published", "pairs", "unions")
    )
    return Evidence(
        scores=scores(pairs, unions),
        common=pd.read_csv(COMMON),
        whole=whole_scores(pairs, unions),
        zoo=zoo[zoo["classifier"].isin(["1NN", *roster()])],
        published=published[published["classifier"].isin(roster())],
        timings=pd.DataFrame(),
        distances=pd.read_csv(PREPARED / "class_distances.csv"),
        changes=changes(params),
        plane=pd.read_csv(METRICS / "plane.csv"),
        trials=pd.read_csv(METRICS / "search_trials.csv"),
        strength=pd.read_csv(METRICS / "strength.csv"),
        epsilon=params.epsilon.model_dump(),
        n_dimensions=n_dimensions,
        n_models=len(roster()),
        confidence=params.claims.confidence,
    )


def main() -> None:
    params, dataset = read_params("params.yaml"), load_dataset(PREPARED).dataset
    options, evidence = params.claims, read(params, dataset.n_dimensions)
    untimed = [claim for claim in CLAIMS if claim.id not in TIMED]
    for name, claims in (("claims", untimed), ("controls", controls_of(evidence))):
        entries = ledger(evidence, options.margin, setting_of(params.profile, dataset.name), claims)
        write_json(METRICS / f"{name}.json", entries)
        write_csv(METRICS / f"{name}.csv", ledger_table(entries))
    write_csv(METRICS / "changes.csv", evidence.changes)
    paired = paired_table(evidence.scores, evidence.common, "1NN", options.confidence, options.margin)
    write_csv(METRICS / "paired.csv", paired.round(6))
    variants = {name: block.model_dump() for name, block in params.variants.items() if name != params.searched}
    write_csv(METRICS / "seeds.csv", seed_spread(evidence.scores, variants).round(6))


if __name__ == "__main__":
    run_stage(main)
