from __future__ import annotations

import numpy as np

import small_data
from convscope.data.dataset import ArrayDataset, Subset
from convscope.data.preparing.prepared_split import prepare_split
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
