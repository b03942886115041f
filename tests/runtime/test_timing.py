"""Seconds of work, and of pieces of work in turn."""

import time

import numpy as np
import pytest

from nnrobust.runtime import timing
from nnrobust.runtime.timing import ROUNDS, interleaved
from nnrobust.runtime.timing import clock as clock_of


@pytest.fixture
def now(monkeypatch):
    """A clock, in a list, that moves by what is asked of it."""
    now = [100.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    return now


def test_pieces_of_work_are_measured_in_turn_and_the_first_round_does_not_count(now):
    order = []

    def work(name, seconds):
        def run():
            order.append(name)
            now[0] += 90.0 if len(order) <= 2 else seconds * len(order)

        return run

    found = interleaved({"one": work("one", 1.0), "other": work("other", 2.0)}, 3)
    assert order == ["one", "other"] * 4
    assert {name: seconds.tolist() for name, seconds in found.items()} == {
        "one": [3.0, 5.0, 7.0],
        "other": [8.0, 12.0, 16.0],
    }


def test_so_many_rounds_that_their_median_has_an_interval():
    found = interleaved({"nothing": lambda: None})
    assert found["nothing"].shape == (ROUNDS,)
    assert (found["nothing"] >= 0).all()
    assert isinstance(found["nothing"], np.ndarray)


def test_waiting_is_no_work_of_a_processor_but_takes_a_device_its_time():
    for device, takes_time in (("cpu", False), ("cuda", True)):
        now, found = clock_of(device), []
        for _ in range(3):  # threads of earlier tests may still be spinning
            start = now()
            time.sleep(0.1)
            found.append(now() - start)
        assert (min(found) > 0.05) == takes_time
