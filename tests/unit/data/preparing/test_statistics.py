from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.core.errors import UserError
from convscope.data.preparing import statistics
from convscope.data.preparing.statistics import STD_FLOOR, channel_statistics


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 9), st.integers(1, 6), st.sampled_from([1, 3]), st.integers(0, 2**31))
def test_they_are_numpys(n: int, side: int, channels: int, seed: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (n, side, side, channels), np.uint8)
    mean, std = channel_statistics(images)
    flat = images.reshape(-1, channels) / 255
    np.testing.assert_allclose(mean, flat.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(std, np.maximum(flat.std(axis=0), STD_FLOOR), rtol=1e-9)


def test_pieces_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 3), np.uint8)
    whole = channel_statistics(images)
    monkeypatch.setattr(statistics, "_CHUNK_BYTES", 1000)
    assert channel_statistics(images) == whole


def test_indices_choose_the_images_in_any_order() -> None:
    images = np.random.default_rng(1).integers(0, 256, (20, 4, 4, 1), np.uint8)
    chosen = np.array([17, 3, 4, 5])
    assert channel_statistics(images, indices=chosen) == channel_statistics(images[chosen])


def test_a_memory_map_will_do(tmp_path: Path) -> None:
    images = np.memmap(tmp_path / "a", np.uint8, "w+", shape=(3, 2, 2, 1))
    images[:] = 51
    assert channel_statistics(images) == ((0.2,), (STD_FLOOR,))


def test_a_constant_channel_gets_the_floor() -> None:
    _, std = channel_statistics(np.full((2, 3, 3, 3), 7, np.uint8))
    assert std == (STD_FLOOR,) * 3


@pytest.mark.parametrize("shape", [(0, 4, 4, 1), (4, 4, 1)])
def test_nothing_to_measure(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="N×H×W×C"):
        channel_statistics(np.zeros(shape, np.uint8))
    with pytest.raises(UserError, match="no statistics of 0 images"):
        channel_statistics(np.zeros((2, 4, 4, 1), np.uint8), indices=np.array([], np.int64))
