from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from convscope.report.picture import SIDE, data_uri, framed


def opened(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_small_image_comes_back_bit_for_bit(channels):
    image = np.random.default_rng(0).integers(0, 256, (28, 20, channels), dtype=np.uint8)
    shown = np.asarray(opened(data_uri(image))).reshape(image.shape)
    assert (shown == image).all()


@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from([1, 3]))
def test_a_large_one_is_made_small_in_its_proportions(height, width, channels):
    uri = data_uri(np.zeros((height, width, channels), np.uint8))
    shown = opened(uri)
    scale = min(1, SIDE / max(height, width))
    assert max(shown.size) <= SIDE
    assert shown.width == pytest.approx(width * scale, abs=1) and shown.height == pytest.approx(
        height * scale, abs=1
    )
    assert uri.startswith("data:image/png" if max(shown.size) <= 40 else "data:image/jpeg")


def test_a_photograph_costs_a_few_kilobytes():
    x = np.linspace(0, 255, 227).astype(np.uint8)
    assert len(data_uri(np.stack([np.add.outer(x // 2, x // 2)] * 3, axis=2))) < 4000
    noise = np.random.default_rng(0).integers(90, 140, (64, 64, 3), dtype=np.uint8)
    assert len(data_uri(noise)) < 5000  # 12,000 as PNG; a page may have 800 of them


def test_the_words_of_a_picture():
    shown = framed(np.zeros((28, 28, 1), np.uint8), "a.png", words="97 %")
    assert (shown.alt, shown.name, shown.words, shown.small) == ("a.png", "a.png", "97 %", True)
    assert not framed(np.zeros((99, 28, 1), np.uint8), "a.png").small
