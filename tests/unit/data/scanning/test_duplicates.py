from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from convscope.data.scanning.duplicates import exact_groups, near_pairs
from convscope.data.scanning.image_facts import facts_of_array


def photograph(seed: int, side: int = 128) -> Image.Image:
    """Blobs of several sizes: smooth like a photograph, with edges."""
    rng = np.random.default_rng(seed)
    layers = [
        np.asarray(Image.fromarray(rng.integers(0, 256, (n, n, 3), np.uint8)).resize((side, side)))
        for n in (4, 9, 20)
    ]
    return Image.fromarray(np.mean(layers, axis=0).astype(np.uint8))


def thumbnails(*images: Image.Image) -> np.ndarray:
    return np.array([facts_of_array(np.array(image.convert("RGB"))).thumbnail for image in images])


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    stream = BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream)


@given(st.lists(st.sampled_from("abcdef"), max_size=30))
def test_exact_groups_are_the_repeated_ones(letters: list[str]) -> None:
    groups = exact_groups([letter.encode() for letter in letters])
    assert {letters[group[0]] for group in groups} == {
        letter for letter in letters if letters.count(letter) > 1
    }
    assert all(
        [letters[i] for i in group] == [letters[group[0]]] * letters.count(letters[group[0]])
        for group in groups
    )


CROWD = [photograph(seed) for seed in range(100, 200)]


@pytest.mark.parametrize(
    "change",
    [
        lambda image: as_jpeg(image, 50),
        lambda image: image.resize((300, 300)),
        lambda image: image.resize((64, 64)),
        lambda image: image.convert("L"),
        lambda image: ImageEnhance.Brightness(image).enhance(1.1),
        lambda image: ImageEnhance.Contrast(image).enhance(0.7),
        lambda image: image.crop((2, 2, 127, 127)),
    ],
)
def test_the_same_image_changed_a_little_is_found(change) -> None:
    pairs = near_pairs(thumbnails(photograph(0), *CROWD, change(photograph(0))))
    assert [(pair.first, pair.second) for pair in pairs] == [(0, len(CROWD) + 1)]


def test_compression_alone_is_certain_and_a_crop_is_not() -> None:
    image = photograph(0)
    assert near_pairs(thumbnails(image, *CROWD, as_jpeg(image, 85)))[0].certain
    assert not near_pairs(thumbnails(image, *CROWD, image.crop((2, 2, 127, 127))))[0].certain


def test_different_images_are_not_pairs() -> None:
    assert near_pairs(thumbnails(*CROWD)) == []


def test_the_same_layout_with_other_details_is_no_pair() -> None:
    paper = np.full((128, 128), 200, np.uint8)
    paper[20:108, 30:98] = 230
    rng = np.random.default_rng(0)
    sheets = []
    for _ in range(2):
        sheet = paper.copy()
        for row in range(30, 100, 6):
            sheet[row : row + 3, 35:93] = 228 - 60 * rng.integers(0, 2, 58)
        sheets.append(Image.fromarray(sheet))
    assert near_pairs(thumbnails(*sheets, *CROWD)) == []


def test_flat_images_are_never_pairs() -> None:
    shades = np.repeat(np.arange(0, 250, 25, dtype=np.uint8), 32 * 32).reshape(-1, 32, 32)
    assert near_pairs(shades) == []


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_to_compare(count: int) -> None:
    assert near_pairs(np.zeros((count, 32, 32), np.uint8)) == []


def test_data_that_are_all_alike_are_not_all_pairs() -> None:
    """Silhouettes that differ in width: near in absolute terms, and usual among their kind."""
    shapes = np.zeros((400, 32, 32), np.float32)
    rng = np.random.default_rng(0)
    for shape in shapes:
        shape[4:28, 10:22] = rng.integers(90, 200)
        shape[8:24, 15:17] = 0
    noisy = np.clip(shapes + rng.normal(0, 14, shapes.shape), 0, 255).astype(np.uint8)
    assert len(near_pairs(noisy)) < 4


@pytest.mark.slow
def test_ten_thousand_images_take_moments() -> None:
    """A loop over all pairs, 50 million, would meet the time limit of the suite."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (10_000, 8, 8)).astype(np.uint8)
    many = small.repeat(4, axis=1).repeat(4, axis=2)
    many[-1] = many[17]
    assert [(pair.first, pair.second) for pair in near_pairs(many)] == [(17, 9_999)]
