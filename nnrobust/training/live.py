"""Metrics of training while it runs, through DVCLive."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nnrobust.training.tasks import Row, Task

if TYPE_CHECKING:
    from dvclive.live import Live


class LiveLog:
    """Logs each epoch of each group, in the order trained: means over the group's pairs of loss, clean and robust accuracy.

    The step counts epochs over all groups; accuracies are those on held-out images, where they were taken. For eyes while it
    runs: rows stand in the order in which workers tell of them, so no stage has them as an output.
    """

    def __init__(self, live: "Live") -> None:
        self.live, self.n_epochs = live, 0

    def __call__(self, tasks: list[Task], epoch: int, rows: list[Row]) -> None:
        """A `Watch` of `nnrobust.training.train`."""
        self.n_epochs += 1
        self.live.step = self.n_epochs
        for name in rows[0]:
            values = [value for row in rows if (value := row[name]) is not None]
            if values:
                self.live.log_metric(name, sum(values) / len(values))


@contextmanager
def live_log(folder: Path) -> Iterator[LiveLog]:
    """A log whose files are in `folder`; it makes no experiment, no report and no dvc.yaml of its own."""
    from dvclive.live import Live  # brings DVC, which takes seconds

    with Live(str(folder), save_dvc_exp=False, dvcyaml=None) as live:
        yield LiveLog(live)
