from __future__ import annotations

import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest

from convscope.core.plotting import COLOURS, save_figure, short_name
from convscope.tasks.classification.confusion import confusion_figure, recall_bars
from convscope.tasks.classification.metrics import classification_metrics
from convscope.training.plots import rate_curve, training_curves
from pixels import ink

ROWS = [
    {
        "epoch": e,
        "train_loss": 2 / e,
        "train_accuracy": 1 - 0.5 / e,
        "validation_loss": 2.1 / e,
        "validation_accuracy": 0.9 - 0.5 / e,
        "lr": 0.1 / e,
        "best": e < 4,
    }
    for e in range(1, 7)
]


def metrics(k: int, n: int):
    random = np.random.default_rng(0)
    labels = random.integers(k, size=n)
    return classification_metrics(
        random.normal(size=(n, k)) + 2 * np.eye(k)[labels],
        labels,
        [f"a rather long class name {i}" for i in range(k)],
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "rows",
    [ROWS, ROWS[:1], [], [{"epoch": 1}], [{**ROWS[0], "validation_loss": None}, ROWS[1]]],
    ids=["six", "one", "none", "bare", "gap"],
)
def test_curves_are_drawn_whatever_the_history_holds(rows, tmp_path):
    assert ink(save_figure(training_curves(rows), tmp_path / "curves.png")) > 0.005


@pytest.mark.slow
def test_more_epochs_are_another_image(tmp_path):
    a = save_figure(training_curves(ROWS), tmp_path / "a.png").read_bytes()
    assert a != save_figure(training_curves(ROWS[:3]), tmp_path / "b.png").read_bytes()
    assert a == save_figure(training_curves(ROWS), tmp_path / "c.png").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("k", [1, 2, 10, 150])
def test_confusion_matrices_of_every_size(k, tmp_path):
    m = metrics(k, 20 * k)
    assert (
        ink(save_figure(confusion_figure(m.confusion, [s.name for s in m.per_class]), tmp_path / "c.png"))
        > 0.01
    )


def test_a_confusion_matrix_with_empty_rows_and_odd_names(tmp_path):
    confusion = np.array([[0, 0, 0], [3, 1, 0], [0, 0, 0]])
    assert ink(save_figure(confusion_figure(confusion, ["$x^2", "_", "Größe"]), tmp_path / "c.png")) > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("k", [2, 40, 160])
def test_recall_bars(k, tmp_path):
    assert ink(save_figure(recall_bars(metrics(k, 3 * k)), tmp_path / "r.png")) > 0.01


def test_recall_bars_with_a_class_without_images(tmp_path):
    m = classification_metrics(np.eye(3), [0, 1, 1], ["a", "b", "c"])
    assert ink(save_figure(recall_bars(m), tmp_path / "r.png")) > 0.01


@pytest.mark.slow
@pytest.mark.parametrize(
    "losses",
    [[2.3, 2.0, 1.5, 40.0, 1e9], [1.0] * 5, [1.0, 2.0, 3.0, float("nan"), float("inf")], [float("nan")] * 5],
    ids=["diverges", "flat", "rises", "nothing but NaN"],
)
def test_rate_curves(losses, tmp_path):
    rates = [1e-4, 1e-3, 1e-2, 1e-1, 1.0]
    assert ink(save_figure(rate_curve(rates, losses, best=0.01), tmp_path / "lr.png")) > 0.005


@pytest.mark.slow
def test_pyplot_is_left_alone(tmp_path):
    """In a process of its own, since other tests import packages that wake pyplot."""
    program = (
        "import sys; from convscope.experiments import benchmark_plot; "
        "from convscope.tasks.classification import confidence_plots, curves; "
        "from convscope.training.plots import training_curves; "
        "from convscope.evaluation.robustness import measure; "
        "from convscope.core.plotting import save_figure; "
        f"save_figure(training_curves([{{'epoch': 1, 'train_loss': 2.0}}]), {str(tmp_path / 'a.png')!r}); "
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_colours_can_be_distinguished_without_red_or_green():
    """The two cones that most of the colour-blind mix up count as one; no two colours may then be the
    same."""
    values = [(int(c[1:3], 16) + int(c[3:5], 16), 2 * int(c[5:7], 16)) for c in COLOURS]
    assert min(abs(a - c) + abs(b - d) for (a, b), (c, d) in combinations(values, 2)) > 50


def test_a_letter_that_the_font_lacks_is_a_box_and_no_warning(tmp_path):
    """Warnings are errors here: what a person would read is one line for every such letter."""
    found = classification_metrics(np.eye(2), np.array([0, 1]), ["犬", "\N{DOG FACE}\t$\\frac"])
    assert (
        ink(
            save_figure(
                confusion_figure(found.confusion, ("犬", "\N{DOG FACE}\t$\\frac")), tmp_path / "c.png"
            )
        )
        > 0.05
    )


@pytest.mark.parametrize(
    ("name", "shown"), [("a\nb\tc", "a b c"), ("a\x00b", "a b"), ("x" * 30, 21 * "x" + "…"), ("Łódź", "Łódź")]
)
def test_a_name_in_a_figure_is_one_short_line(name, shown):
    assert short_name(name) == shown
