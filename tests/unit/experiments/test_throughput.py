from __future__ import annotations

import itertools

import numpy as np
import pytest

from convscope.experiments.throughput import REPEATS, measure_throughput

IMAGES = np.zeros((16, 4, 4, 1), np.uint8)


class Slow:
    """A predictor on a clock of its own: its calls take the seconds that it is given, and the last ones for
    ever.
    """

    classes = ("a", "b")

    def __init__(self, *seconds):
        self.seconds, self.now, self.calls = itertools.chain(seconds, itertools.repeat(seconds[-1])), 0.0, 0

    def predict(self, images):
        self.calls += 1
        self.now += next(self.seconds)
        return np.zeros((len(images), 2), np.float32)

    def rate(self):
        return measure_throughput(self, IMAGES, clock=lambda: self.now)


def test_the_first_call_and_the_outliers_do_not_count():
    assert Slow(60.0, 0.5, 0.5, 9.0, 0.5, 0.001).rate() == pytest.approx(16 / 0.5)


def test_quick_networks_are_asked_more_often():
    slow, quick = Slow(0.2), Slow(0.01)
    assert (slow.rate(), quick.rate()) == (pytest.approx(80), pytest.approx(1600))
    assert slow.calls == 1 + REPEATS
    assert quick.calls == pytest.approx(1 + 50, abs=1)


def test_a_clock_too_coarse_to_see_a_call_gives_a_number():
    now = itertools.chain(itertools.repeat(0.0, 2 * REPEATS), itertools.count(0.0, 1.0))
    assert np.isfinite(measure_throughput(Slow(0.0), IMAGES, clock=lambda: next(now)))
