from __future__ import annotations

import json
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.text import Text

import small_data
from convscope.core.errors import UserError
from convscope.core.plotting import save_figure
from convscope.data.dataset import ArrayDataset
from convscope.data.preparing.prepared_split import prepare_split
from convscope.data.preparing.preprocess import Preprocess
from convscope.evaluation.robustness import measure as module
from convscope.evaluation.robustness.corruptions import corruptions
from convscope.evaluation.robustness.measure import (
    Robustness,
    measure_robustness,
    moved_apart,
    robustness_figure,
    sample,
)
from convscope.tasks.task import task_named
from pixels import ink


class Thirds:
    """Says which third of the rows is the brightest: what the classes of `small_data` are."""

    classes = small_data.CLASSES

    def predict(self, images):
        rows = images.astype(float).mean(axis=(2, 3)).reshape(len(images), 3, -1)
        return rows.mean(axis=2).astype(np.float32)


TASK = task_named("classification")


def measured(seed: int = 0, channels: int = 1) -> Robustness:
    return measure_robustness(Thirds(), *small_data.pictures(60, channels=channels), task=TASK, seed=seed)


@pytest.mark.parametrize("channels", [1, 3])
def test_accuracy_falls_as_pictures_get_worse(channels):
    found = measured(channels=channels)
    assert found.clean == 1.0 and found.images == 60 and len(found.rows) == 40
    by_strength = np.mean(list(found.by_strength().values()), axis=0)
    assert by_strength[0] == 1 and by_strength[5] < by_strength[1] and (np.diff(by_strength) <= 0.02).all()
    assert found.mean == pytest.approx(np.mean([row.score for row in found.rows]))


def test_rows_say_what_was_done():
    found = measured()
    row = next(row for row in found.rows if (row.corruption, row.strength) == ("rotation", 3))
    assert (row.amount, row.unit, row.images) == (15, "degrees", 60)
    assert json.loads(json.dumps(found.to_dict()))["rows"][0]["corruption"] == "noise"
    keys = ["corruption", "strength", "amount", "unit", "accuracy", "images"]
    assert list(found.to_dict()["rows"][0]) == keys


def test_logits_that_are_nan_are_wrong():
    class Broken(Thirds):
        def predict(self, images):
            return np.full((len(images), 3), np.nan, np.float32)

    images, labels = small_data.pictures(30)
    with np.errstate(invalid="ignore"):
        found = measure_robustness(Broken(), images, np.full_like(labels, 2), task=TASK)
    assert found.clean == found.mean == 0


@pytest.mark.slow
def test_the_same_seed_gives_the_same_table_and_lots_draw_of_their_own(monkeypatch):
    assert measured() == measured()
    assert measured(seed=1) != measured()
    monkeypatch.setattr(module, "PIXELS", 12 * 12 * 7)
    assert measured().by_strength()["contrast"] == pytest.approx(
        measure_robustness(Thirds(), *small_data.pictures(60), task=TASK).by_strength()["contrast"]
    )


def test_progress_is_told():
    told = []
    images, labels = small_data.pictures(3)
    measure_robustness(Thirds(), images, labels, task=TASK, progress=lambda *step: told.append(step))
    assert told == [("robustness", done, 40) for done in range(1, 41)]


def test_no_image_is_one_line():
    with pytest.raises(UserError, match="there are no images to measure robustness on"):
        nothing = np.empty((0, 12, 12, 1), np.uint8), np.empty(0, np.int64)
        measure_robustness(Thirds(), *nothing, task=TASK)


def test_a_sample_is_drawn_by_the_seed_and_fits_its_labels():
    images, labels = small_data.pictures(50)
    part = prepare_split(ArrayDataset(images, labels, small_data.CLASSES), Preprocess(1, 12, 12))
    some, their = sample(part, 20, seed=3)
    assert some.shape == (20, 12, 12, 1) and (Thirds().predict(some).argmax(1) == their).all()
    np.testing.assert_array_equal(some, sample(part, 20, seed=3)[0])
    assert (some != sample(part, 20, seed=4)[0]).any()
    np.testing.assert_array_equal(sample(part)[0], part.take(np.arange(50)))


@pytest.mark.slow
@pytest.mark.parametrize("level", [None, 0.0, 1.0])
def test_every_line_is_named_and_no_name_covers_another(level, tmp_path):
    found = measured()
    if level is not None:
        rows = tuple(
            module.CorruptionResult(r.corruption, r.strength, r.amount, r.unit, level, 60) for r in found.rows
        )
        found = Robustness(level, level, 60, rows)
    figure = robustness_figure(found)
    assert ink(save_figure(figure, tmp_path / "r.png")) > 0.01
    texts = figure.axes[0].texts
    assert {text.get_text().split()[0] for text in texts} == set(corruptions)
    boxes = sorted(
        (Text.get_window_extent(text) for text in texts), key=lambda box: box.y0
    )  # without their lines
    assert all(below.y1 <= above.y0 + 1 for below, above in pairwise(boxes))


def test_names_are_written_in_the_colour_of_other_words():
    with mpl.rc_context({"text.color": "#123456"}):
        figure = robustness_figure(measured())
    assert {text.get_color() for text in figure.axes[0].texts} == {"#123456"}  # a dark page has light words


def test_names_move_no_farther_than_they_must():
    assert moved_apart([10.0, 30.0, 20.0], gap=5) == [10.0, 30.0, 20.0]
    moved = moved_apart([50.0, 51.0, 52.0, 80.0], gap=4)
    assert moved == [47.0, 51.0, 55.0, 80.0]
    assert moved_apart([], gap=1) == []
