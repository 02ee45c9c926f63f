from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import small_data
from convscope.core.errors import UserError
from convscope.data.dataset import ArrayDataset, Subset
from convscope.data.preparing import prepared_split
from convscope.data.preparing.prepared_split import STD_FLOOR, channel_statistics, prepare_split
from convscope.data.preparing.preprocess import Preprocess
from convscope.data.source import open_source


def whole(count=9):
    return ArrayDataset(*small_data.pictures(count), small_data.CLASSES, "train")


def test_a_whole_is_taken_as_it_is():
    data = whole()
    part = prepare_split(data, Preprocess(1, 12, 12))
    assert len(part) == 9 and part.whole.images is data.images
    assert part.targets.tolist() == data.labels.tolist() and part.names[2] == "train#2"


def test_subsets_of_subsets_share_the_array_and_keep_their_order():
    data = whole()
    inner = Subset(Subset(data, np.array([8, 1, 4, 2])), np.array([3, 0]))
    part = prepare_split(inner, Preprocess(1, 12, 12))
    assert part.whole.images is data.images and part.names == ["train#2", "train#8"]
    assert np.array_equal(part.take(np.array([1, 1])), data.images[[8, 8]])
    assert part.targets.tolist() == [2, 2]


def test_images_that_cannot_be_read_fall_out_of_every_part(tmp_path):
    folder = small_data.write_folder(tmp_path / "data", count=9)
    (folder / "bee" / "001.png").write_bytes(b"broken")
    data = open_source(folder).open("train")
    names = [data.name(i) for i in range(9)]
    chosen = np.array([names.index(n) for n in ("cow/002.png", "bee/001.png", "ant/000.png", "bee/004.png")])
    part = prepare_split(Subset(data, chosen), Preprocess(3, 12, 12), cache=tmp_path / "cache")
    assert part.names == ["cow/002.png", "ant/000.png", "bee/004.png"]
    assert [small_data.CLASSES[k] for k in part.targets] == ["cow", "ant", "bee"]
    images, _ = small_data.pictures(9, channels=3)
    assert np.array_equal(part.take(np.arange(3)), images[[2, 0, 4]])
    assert [name for name, _ in part.failed] == ["bee/001.png"]
    assert (
        prepare_split(Subset(data, chosen[:1]), Preprocess(3, 12, 12), cache=tmp_path / "cache").failed == ()
    )


def test_batches_cover_everything_in_order():
    part = prepare_split(Subset(whole(), np.array([3, 1, 5, 0, 8])), Preprocess(1, 12, 12))
    batches = list(part.batches(2))
    assert [len(b) for b in batches] == [2, 2, 1]
    assert np.array_equal(np.concatenate(batches), part.take(np.arange(5)))
    assert (
        list(prepare_split(Subset(whole(), np.array([], np.int64)), Preprocess(1, 12, 12)).batches(2)) == []
    )


def test_what_is_taken_is_a_copy():
    data = whole()
    taken = prepare_split(data, Preprocess(1, 12, 12)).take(np.array([0]))
    taken[:] = 0
    assert data.images[0].any()


def test_labels_counted_otherwise():
    part = prepare_split(Subset(whole(), np.array([0, 1, 2])), Preprocess(1, 12, 12))
    other = part.relabelled(np.array([2, 0, 1]))
    assert other.targets.tolist() == [2, 0, 1] and part.targets.tolist() == [0, 1, 2]
    assert other.whole.images is part.whole.images


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
    monkeypatch.setattr(prepared_split, "_CHUNK_BYTES", 1000)
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
