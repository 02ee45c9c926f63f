from __future__ import annotations

import json
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from convscope.core.errors import UserError
from convscope.data.preparing.preprocess import Preprocess

WAYS = ("crop", "stretch", "pad")
SIDES = st.integers(1, 40)


def picture(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, channels), np.uint8)


@settings(max_examples=80, deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from(WAYS), st.sampled_from([1, 3]), st.sampled_from([1, 3]))
def test_every_image_becomes_the_promised_shape(h, w, to_h, to_w, way, have, want) -> None:
    array = Preprocess(want, to_h, to_w, way).prepare(picture(h, w, have))
    assert array.shape == (to_h, to_w, want)
    assert array.dtype == np.uint8
    assert array.flags.writeable


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 255), st.sampled_from(("crop", "stretch")))
def test_a_plain_image_stays_plain(h, w, to_h, to_w, shade, way) -> None:
    assert set(Preprocess(1, to_h, to_w, way).prepare(np.full((h, w), shade, np.uint8)).ravel()) == {shade}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_of_the_size_passes_bit_for_bit(way: str, channels: int) -> None:
    array = picture(17, 23, channels)
    np.testing.assert_array_equal(Preprocess(channels, 17, 23, way).prepare(array), array)
    stream = BytesIO()
    Image.fromarray(array.squeeze()).save(stream, "PNG")
    np.testing.assert_array_equal(Preprocess(channels, 17, 23, way).prepare(stream.getvalue()), array)


def test_crop_keeps_the_middle() -> None:
    array = np.zeros((10, 30), np.uint8)
    array[:, 10:20] = 255
    assert Preprocess(1, 10, 10, "crop").prepare(array).min() == 255


def test_pad_keeps_everything_on_black() -> None:
    padded = Preprocess(1, 30, 30, "pad").prepare(np.full((10, 30), 200, np.uint8))[:, :, 0]
    np.testing.assert_array_equal(np.unique(padded[10:20]), [200])
    assert padded[:10].max() == padded[20:].max() == 0


def test_an_extreme_strip_costs_no_memory() -> None:
    for way in WAYS:
        assert Preprocess(1, 224, 224, way).prepare(np.zeros((1, 100_000), np.uint8)).shape == (224, 224, 1)
        assert Preprocess(1, 224, 224, way).prepare(np.zeros((100_000, 1), np.uint8)).shape == (224, 224, 1)


def test_shrinking_is_antialiased() -> None:
    stripes = np.tile(np.uint8([0, 255]), (64, 32))
    small = Preprocess(1, 8, 8, "stretch").prepare(stripes)
    assert np.abs(small.astype(int) - 127).max() < 20


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([1, 3]))
def test_normalise_is_the_formula(seed: int, channels: int) -> None:
    rng = np.random.default_rng(seed)
    mean, std = rng.uniform(0, 1, channels), rng.uniform(0.01, 1, channels)
    images = rng.integers(0, 256, (2, 5, 4, channels), np.uint8)
    batch = Preprocess(channels, 5, 4, "crop", tuple(mean), tuple(std)).normalise(images)
    expected = ((images / 255 - mean) / std).transpose(0, 3, 1, 2)
    assert batch.dtype == np.float32
    np.testing.assert_array_equal(batch, expected.astype(np.float32))


def test_symmetric_spans_minus_one_to_one() -> None:
    batch = Preprocess.symmetric(3, 1, 2).normalise(np.uint8([[[[0] * 3, [255] * 3]]]))
    assert (batch.min(), batch.max()) == (-1, 1)


@pytest.mark.parametrize("shape", [(5, 4, 3), (1, 4, 5, 3), (1, 5, 4, 1)])
def test_normalise_refuses_what_is_not_prepared(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="needed: prepared images"):
        Preprocess(3, 5, 4).normalise(np.zeros(shape, np.uint8))
    with pytest.raises(UserError, match="float64"):
        Preprocess(3, 5, 4).normalise(np.zeros((1, 5, 4, 3)))


@settings(max_examples=60)
@given(
    st.lists(st.floats(0, 1), min_size=3, max_size=3), st.lists(st.floats(1e-9, 9), min_size=3, max_size=3)
)
def test_json_gives_the_same_floats_back(mean: list[float], std: list[float]) -> None:
    before = Preprocess(3, 7, 9, "pad", tuple(mean), tuple(std))
    after = Preprocess.from_dict(json.loads(json.dumps(before.to_dict())))
    assert after == before
    assert hash(after) == hash(before)


def test_geometry_is_what_decides_the_pixels() -> None:
    plain = Preprocess(1, 28, 28)
    assert plain.geometry() == Preprocess(1, 28, 28, "crop", (0.3,), (0.2,)).geometry()
    assert plain.geometry() != Preprocess(1, 28, 28, "pad").geometry()


@pytest.mark.parametrize(
    ("settings_", "says"),
    [
        ({"channels": 2}, "channels"),
        ({"height": 0}, "at least 1"),
        ({"resize": "squeeze"}, "allowed: crop, pad, stretch"),
        ({"mean": (0.5, 0.5)}, "3 finite"),
        ({"std": (0.5, 0.5, 0.0)}, "above 0"),
        ({"std": (0.5, 0.5, float("nan"))}, "above 0"),
        ({"mean": (float("inf"),) * 3}, "finite"),
    ],
)
def test_senseless_settings_are_refused(settings_: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        Preprocess(**{"channels": 3, "height": 4, "width": 4, **settings_})  # type: ignore[arg-type]


def test_saved_names_must_be_known_and_complete() -> None:
    saved = Preprocess(1, 2, 3).to_dict()
    with pytest.raises(UserError, match="did you mean 'resize'"):
        Preprocess.from_dict({**saved, "resise": "crop"})
    del saved["mean"]
    with pytest.raises(UserError, match="lacks mean"):
        Preprocess.from_dict(saved)
    for damage in ({"height": "8"}, {"mean": None}, {"std": ["a"]}):
        with pytest.raises(UserError, match="saved preprocessing is damaged"):
            Preprocess.from_dict(Preprocess(1, 8, 8).to_dict() | damage)
