"""Tables of a variant's training: its epochs, and how each pair ended."""

import pandas as pd

from nnrobust.records import TRAINED, TRAINED_SLOWER, UNTRAINED
from nnrobust.training.tasks import Task, Trained


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


def outcomes(tasks: list[Task], trained: list[Trained], first_failures: list[str | None]) -> pd.DataFrame:
    """One row for each pair: how its training ended (`status`: ok, ok at half the learning rate, failed), and with which network.

    Columns: pair, status, failure, seed, learning_rate, n_epochs, checkpoint, epoch of the network kept, and its accuracies on
    held-out images.
    """
    table = []
    for task, result, first in zip(tasks, trained, first_failures, strict=True):
        row = result.row
        table.append(
            {
                "pair": str(task.pair),
                "status": UNTRAINED if result.failure else TRAINED_SLOWER if first else TRAINED,
                "failure": result.failure or first or "",
                "seed": result.recipe.seed,
                "learning_rate": result.recipe.learning_rate,
                "n_epochs": len(result.rows),
                "checkpoint": result.recipe.checkpoint,
                "epoch": result.epoch,
                **{f"validation_{name}": row[name] for name in ("clean_accuracy", "robust_accuracy")},
            }
        )
    return pd.DataFrame(table)
