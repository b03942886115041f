"""How long a classifier takes for an image, alone and among many."""

import json
import time

import numpy as np
import pytest

from nnrobust.runtime import timing
from nnrobust.runtime.timing import clock as clock_of
from nnrobust.runtime.timing import inference_seconds, read_timings


class Clock:
    """A clock that moves by what is asked of it."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_seconds_are_those_of_an_image_at_each_batch_size(clock):
    def classify(images):
        clock.now += 1.0 + 0.001 * len(images)  # a second a call, a millisecond an image

    found = inference_seconds(classify, np.zeros((600, 1, 2, 2), np.uint8))
    assert found == {"1": pytest.approx(1.001), "512": pytest.approx(1 / 512 + 0.001)}


def test_the_first_run_of_each_size_warms_up_and_does_not_count(clock):
    sizes = []

    def classify(images):
        clock.now += 90.0 if sizes.count(len(images)) < {1: 64, 512: 1}[len(images)] else 0.5
        sizes.append(len(images))

    found = inference_seconds(classify, np.zeros((600, 1), np.uint8))
    assert found == {"1": pytest.approx(0.5), "512": pytest.approx(0.5 / 512)}
    assert sizes == [1] * 128 + [512] * 2


def test_every_image_is_classified_and_only_those_timed():
    seen = []
    images = np.arange(600)
    inference_seconds(lambda part: seen.append(part.tolist()), images)
    assert seen[:64] == [[i] for i in range(64)]
    assert seen[-1] == list(range(512))


def test_with_fewer_images_all_of_them_are_the_largest_batch(clock):
    sizes = []

    def classify(images):
        clock.now += 3.0
        sizes.append(len(images))

    assert inference_seconds(classify, np.zeros((10, 1), np.uint8)) == {"1": 3.0, "512": pytest.approx(0.3)}
    assert sizes == [1] * 20 + [10] * 2


def test_timings_are_read_in_the_order_of_the_classifiers_and_no_others(tmp_path):
    for name in ("1NN", "S", "left_over"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"device": name}))
    assert list(read_timings(tmp_path, ["S", "1NN"]).items()) == [("S", {"device": "S"}), ("1NN", {"device": "1NN"})]


def test_waiting_is_no_work_of_a_processor_but_takes_a_device_its_time():
    for device, takes_time in (("cpu", False), ("cuda", True)):
        now = clock_of(device)
        start = now()
        time.sleep(0.1)
        assert (now() - start > 0.05) == takes_time
