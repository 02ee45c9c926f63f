"""split_source: official splits win, the rest is held_out, written down and made again; the test split stays
shut.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.core.errors import UserError
from convscope.data.dataset import ArrayDataset, FileDataset, image_name
from convscope.data.sources.origin import Source
from convscope.data.split import from_record, split_source

CLASSES = ("cat", "dog", "mouse")


def arrays(split: str, count: int, classes=CLASSES) -> ArrayDataset:
    images = np.arange(count, dtype=np.uint8).reshape(count, 1, 1, 1)
    return ArrayDataset(images, np.arange(count) % len(classes), classes, split)


def files(split: str, count: int) -> FileDataset:
    return FileDataset(tuple(f"{split}/{i}.jpg" for i in range(count)), np.arange(count) % 3, CLASSES)


def make_source(counts: dict[str, int], make=arrays, opened: list[str] | None = None) -> Source:
    def opening(split):
        def open_split():
            if opened is not None:
                opened.append(split)
            return make(split, counts[split])

        return open_split

    return Source(
        name="toy", location="toy", splits={s: opening(s) for s in counts}, compute_fingerprint=lambda: "mark"
    )


def names(dataset) -> list[str]:
    return [image_name(dataset, i) for i in range(len(dataset))]


KEY_MAPS = [
    {"train": 60},
    {"train": 60, "test": 12},
    {"train": 60, "validation": 9},
    {"train": 60, "validation": 9, "test": 12},
]


@pytest.mark.parametrize("counts", KEY_MAPS)
@pytest.mark.parametrize("make", [arrays, files])
def test_parts_are_disjoint_and_nothing_is_lost(counts, make):
    splits = split_source(make_source(counts, make), seed=1)
    parts = [names(part) for part in (splits.train, splits.validation, splits.open_test())]
    assert len({name for part in parts for name in part}) == sum(map(len, parts)) == sum(counts.values())
    assert len(parts[1]) == counts.get("validation", 6)
    assert len(parts[2]) == counts.get("test", 9)


@pytest.mark.parametrize("counts", KEY_MAPS)
@pytest.mark.parametrize("make", [arrays, files])
def test_the_record_goes_through_json_and_gives_the_very_same_split(counts, make):
    source = make_source(counts, make)
    splits = split_source(source, seed=7, exclude={"train/3.jpg", "train#3"})
    record = json.loads(json.dumps(splits.record()))
    again = from_record(source, record)
    assert again.record() == record
    assert names(again.train) == names(splits.train)
    assert names(again.validation) == names(splits.validation)
    assert names(again.open_test()) == names(splits.open_test())


def test_the_record_says_how_each_split_came_about():
    record = split_source(make_source({"train": 60, "test": 12}), seed=7).record()
    assert record["seed"] == 7
    assert record["source"] == "mark"
    assert record["splits"]["train"] == {"origin": "official less validation", "images": 54}
    assert record["splits"]["test"] == {"origin": "official"}
    validation = record["splits"]["validation"]
    assert validation["origin"] == "held out from train"
    assert validation["fraction"] == 0.1
    assert len(validation["indices"]) == validation["images"] == 6


def test_encoded_images_are_recorded_by_name():
    record = split_source(make_source({"train": 60}, files), seed=7).record()
    for split, count in (("validation", 6), ("test", 9)):
        assert len(record["splits"][split]["names"]) == count
        assert all(name.startswith("train/") for name in record["splits"][split]["names"])


def test_the_official_test_split_is_not_opened_before_it_is_asked_for():
    opened: list[str] = []
    source = make_source({"train": 60, "validation": 9, "test": 12}, opened=opened)
    splits = split_source(source, seed=0)
    splits.record()
    assert "test" not in opened
    assert len(splits.open_test()) == 12
    assert opened.count("test") == 1


def test_official_splits_pass_through_untouched():
    splits = split_source(make_source({"train": 60, "validation": 9, "test": 12}), seed=0)
    assert isinstance(splits.train, ArrayDataset)
    assert isinstance(splits.validation, ArrayDataset)
    assert isinstance(splits.open_test(), ArrayDataset)
    assert splits.record()["splits"]["train"]["origin"] == "official"


def test_the_held_out_test_split_does_not_depend_on_the_validation_fraction():
    source = make_source({"train": 120})
    one, two = (split_source(source, seed=5, validation=v).open_test() for v in (0.1, 0.3))
    assert names(one) == names(two)


@settings(max_examples=40, deadline=None)
@given(st.integers(30, 200), st.floats(0.05, 0.4), st.floats(0.05, 0.4), st.integers(0, 99))
def test_fractions_are_of_the_whole_training_split(count, validation, test, seed):
    splits = split_source(make_source({"train": count}), seed=seed, validation=validation, test=test)
    # Rounding is by class, of which there are three.
    assert abs(len(splits.validation) - validation * count) <= 3
    assert abs(len(splits.open_test()) - test * count) <= 3


@pytest.mark.parametrize("counts", KEY_MAPS)
def test_excluded_names_are_nowhere(counts):
    exclude = {"train/0.jpg", "train/7.jpg", "validation/1.jpg", "test/2.jpg"}
    splits = split_source(make_source(counts, files), seed=1, exclude=exclude)
    found = {name for part in (splits.train, splits.validation, splits.open_test()) for name in names(part)}
    assert not found & exclude
    assert len(found) == sum(counts.values()) - sum(name.split("/")[0] in counts for name in exclude)


def test_groups_stay_on_one_side_of_every_cut():
    groups = {f"train/{i}.jpg": i // 6 for i in range(48)}
    splits = split_source(make_source({"train": 90}, files), seed=2, groups=groups)
    parts = [
        {groups[n] for n in names(p) if n in groups}
        for p in (splits.train, splits.validation, splits.open_test())
    ]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 8


def few(labels: list[int]) -> Source:
    dataset = FileDataset(tuple(f"{i}.jpg" for i in range(len(labels))), np.array(labels), CLASSES)
    return Source(
        name="few", location="few", splits={"train": lambda: dataset}, compute_fingerprint=lambda: "m"
    )


def test_three_of_each_class_suffice_for_three_parts():
    splits = split_source(few([0, 1, 2] * 3), seed=0)
    for part in (splits.train, splits.validation, splits.open_test()):
        assert sorted(part.labels) == [0, 1, 2]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_class_with_too_few_images_is_named_with_its_count(count):
    with pytest.raises(UserError, match=rf"at least 3 .*'mouse' \({count}\).*add images"):
        split_source(few([0, 1] * 5 + [2] * count), seed=0)


def test_images_that_are_excluded_do_not_count():
    with pytest.raises(UserError, match=r"'mouse' \(2\)"):
        split_source(few([2, 2, 2] + [0, 1] * 5), seed=0, exclude=("1.jpg",))


@pytest.mark.parametrize(("validation", "test"), [(0, 0.1), (0.5, 0.5), (0.1, 1), (-1, 0.1)])
def test_fractions_that_leave_nothing_are_refused(validation, test):
    with pytest.raises(UserError, match="sum to less than 1"):
        split_source(make_source({"train": 60}), seed=0, validation=validation, test=test)


def test_fractions_that_are_not_used_are_not_checked():
    split_source(make_source({"train": 60, "validation": 9, "test": 9}), seed=0, validation=0, test=0)


def test_a_source_without_train_cannot_be_split():
    with pytest.raises(UserError, match="no train split"):
        split_source(make_source({"test": 9}), seed=0)


def test_other_classes_in_another_split_are_refused():
    source = make_source({"train": 60})
    other = Source(
        "t",
        "t",
        {**source.splits, "test": lambda: arrays("test", 9, ("cat", "dog"))},
        source.compute_fingerprint,
    )
    with pytest.raises(UserError, match="test split has other classes"):
        split_source(other, seed=0).open_test()


def test_a_record_refuses_data_that_grew():
    record = split_source(make_source({"train": 60}), seed=0).record()
    with pytest.raises(UserError, match="has 61 training images and had 60"):
        from_record(make_source({"train": 61}), record)


def test_a_record_refuses_data_whose_names_changed():
    record = split_source(make_source({"train": 60}, files), seed=0).record()
    record["splits"]["test"]["names"][0] = "train/gone.jpg"
    with pytest.raises(UserError, match=r"1 images .* train/gone\.jpg first"):
        from_record(make_source({"train": 60}, files), record)


def test_a_record_refuses_data_whose_official_split_is_gone():
    record = split_source(make_source({"train": 60, "validation": 9, "test": 9}), seed=0).record()
    with pytest.raises(UserError, match="official validation split"):
        from_record(make_source({"train": 60, "test": 9}), record)
