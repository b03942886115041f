"""What the training of a variant's pairs came to: tables of epochs and of how each pair ended."""

from collections.abc import Mapping

import pandas as pd

from nnrobust.training.tasks import Task, Trained

OK, RETRIED, FAILED = "ok", "ok at half the learning rate", "failed"
"""How the training of a pair ended."""


def history(tasks: list[Task], trained: list[Trained]) -> pd.DataFrame:
    """One row for each pair and epoch (from 1): mean training loss, and the accuracies on held-out images where taken."""
    return pd.DataFrame(
        [
            {"pair": str(task.pair), "epoch": epoch}
            | {name: None if value is None else round(value, 6) for name, value in row.items()}
            for task, result in zip(tasks, trained, strict=True)
            for epoch, row in enumerate(result.rows, start=1)
        ]
    )


def training_table(histories: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Means over pairs by variant and epoch: columns variant, epoch, n_pairs, loss, clean_accuracy, robust_accuracy."""
    quantities = ("loss", "clean_accuracy", "robust_accuracy")
    tables = [pd.DataFrame(columns=["variant", "epoch", "n_pairs", *quantities])]
    for variant, table in histories.items():
        means = table.groupby("epoch", as_index=False).agg(
            n_pairs=("pair", "size"), **{name: (name, "mean") for name in quantities}
        )
        tables.append(means.assign(variant=variant)[tables[0].columns])
    return (pd.concat(tables[1:], ignore_index=True) if histories else tables[0]).round(6)


def outcomes(tasks: list[Task], trained: list[Trained], first_failures: list[str | None]) -> pd.DataFrame:
    """One row for each pair: how its training ended (`status`: ok, ok at half the learning rate, failed), and with which network.

    Columns: pair, status, failure, seed, learning_rate, n_epochs, checkpoint, epoch of the network kept, and its accuracies on
    held-out images.
    """
    table = []
    for task, one, first in zip(tasks, trained, first_failures, strict=True):
        row = one.rows[one.epoch - 1]
        table.append(
            {
                "pair": str(task.pair),
                "status": FAILED if one.failure else RETRIED if first else OK,
                "failure": one.failure or first or "",
                "seed": one.recipe.seed,
                "learning_rate": one.recipe.learning_rate,
                "n_epochs": len(one.rows),
                "checkpoint": one.recipe.checkpoint,
                "epoch": one.epoch,
                **{f"validation_{name}": row[name] for name in ("clean_accuracy", "robust_accuracy")},
            }
        )
    return pd.DataFrame(table)


def trained_pairs(table: pd.DataFrame) -> set[str]:
    """The pairs that have a network, in a table of `outcomes`."""
    return set(table.loc[table["status"] != FAILED, "pair"])


def counts(table: pd.DataFrame) -> dict[str, int]:
    """How many pairs have a network, how many of those only at half the learning rate, and how many have none."""
    status = table["status"]
    return {
        "n_pairs": int((status != FAILED).sum()),
        "n_pairs_retried": int((status == RETRIED).sum()),
        "n_pairs_failed": int((status == FAILED).sum()),
    }
