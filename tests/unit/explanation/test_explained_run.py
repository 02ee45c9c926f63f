"""A run whose network has gone wrong: every way of looking into it says so in a line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import small_data
from convscope.core.bundle import Bundle
from convscope.core.errors import Failure
from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.explain import explain
from convscope.explanation.explained_run import open_explained_run
from convscope.explanation.feature_visualisation.show import show
from convscope.inference.load import load
from convscope.models.pytorch.zoo import create
from convscope.report.write import write_report


@pytest.fixture(scope="module")
def bundle():
    """Of a network that has learned nothing."""
    network = create("simple_cnn", input_shape=(1, small_data.SIDE, small_data.SIDE), classes=3)
    return Bundle(
        {name: value.numpy() for name, value in network.state_dict().items()},
        network.spec.to_dict(),
        Preprocess(1, small_data.SIDE, small_data.SIDE, mean=(0.4,), std=(0.2,)).to_dict(),
        small_data.CLASSES,
    )


@pytest.fixture(params=["NaN", "large"])
def broken(request, bundle, tmp_path):
    """The same after a training that flew apart: NaN in the last layer, or weights that overflow in the
    first.
    """
    weights = {name: value.copy() for name, value in bundle.weights.items()}
    kernels = [name for name, value in weights.items() if value.ndim > 1]
    weights[kernels[-1 if request.param == "NaN" else 0]][:] = np.nan if request.param == "NaN" else 3e38
    return replace(bundle, weights=weights).save(tmp_path / "b.safetensors")


def test_a_whole_network_opens(bundle, tmp_path):
    assert (
        open_explained_run(bundle.save(tmp_path / "b.safetensors")).explained_model.classes
        == small_data.CLASSES
    )


def test_a_network_that_answers_with_nan_is_refused(broken, tmp_path):
    image = small_data.pictures(1)[0]
    for look in (
        lambda: explain(broken, image, out=tmp_path / "out"),
        lambda: explain(broken, image, method="auto", out=tmp_path / "out"),
        *(
            lambda what=what: show(broken, what, out=tmp_path / "out")
            for what in ("filters", "units", "field")
        ),
        lambda: write_report(broken, small_data.write_npz(tmp_path / "d.npz"), out=tmp_path / "out"),
    ):
        with pytest.raises(Failure, match="NaN or infinity; train with a lower rate"):
            look()
    assert list((tmp_path / "out").glob("*")) == []


def test_it_is_said_of_each_image(broken):
    answered = load(broken).classify(small_data.pictures(2)[0])
    assert ["NaN or infinity" in answer.error for answer in answered] == [True, True]
