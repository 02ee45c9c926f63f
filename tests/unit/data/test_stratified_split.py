"""stratified_split: a partition, stratified, the same for a seed, and never through a group."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.core.errors import UserError
from convscope.data.stratified_split import stratified_split

LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=120)
FRACTIONS = st.floats(0.02, 0.9)


@given(LABELS, FRACTIONS, st.integers(0, 9))
def test_two_ascending_parts_of_the_whole(labels, fraction, seed):
    kept, held_out = stratified_split(labels, fraction=fraction, seed=seed)
    assert sorted([*kept, *held_out]) == list(range(len(labels)))
    assert np.all(np.diff(kept) > 0)
    assert np.all(np.diff(held_out) > 0)


@given(LABELS, FRACTIONS, st.integers(0, 9))
def test_each_class_gives_its_fraction_at_least_one_and_never_all(labels, fraction, seed):
    found = np.array(labels)
    _, held_out = stratified_split(found, fraction=fraction, seed=seed)
    for label in set(labels):
        count = int((found == label).sum())
        given_away = int((found[held_out] == label).sum())
        assert given_away == (0 if count == 1 else min(max(round(fraction * count), 1), count - 1))


@given(LABELS, FRACTIONS, st.integers(0, 9))
def test_every_image_its_own_group_changes_nothing(labels, fraction, seed):
    free = stratified_split(labels, fraction=fraction, seed=seed)
    numbered = stratified_split(labels, fraction=fraction, seed=seed, groups=np.arange(len(labels))[::-1] * 7)
    assert np.array_equal(free[1], numbered[1])


@pytest.mark.slow
@settings(max_examples=200)
@given(st.data(), LABELS, FRACTIONS, st.integers(0, 9))
def test_groups_are_never_torn(data, labels, fraction, seed):
    groups = np.array(data.draw(st.lists(st.integers(0, 40), min_size=len(labels), max_size=len(labels))))
    kept, held_out = stratified_split(labels, fraction=fraction, seed=seed, groups=groups)
    assert sorted([*kept, *held_out]) == list(range(len(labels)))
    assert not set(groups[kept]) & set(groups[held_out])
    found = np.array(labels)
    for label in set(labels):
        units = set(groups[found == label])
        others = set(groups[found != label])
        if len(units) > 1 and not units & others:  # a class in groups of its own can always be in both parts
            assert (found[held_out] == label).any()
            assert (found[kept] == label).any()


def test_pairs_of_duplicates_still_reach_the_smaller_part():
    labels = np.zeros(10, int)
    groups = np.repeat(np.arange(5), 2)
    kept, held_out = stratified_split(labels, fraction=0.1, seed=0, groups=groups)
    assert len(held_out) == 2
    assert len(kept) == 8


def test_a_class_in_a_single_group_stays_whole():
    kept, held_out = stratified_split([0, 0, 1, 1], fraction=0.5, seed=0, groups=[0, 0, 1, 2])
    assert {0, 1} <= set(kept)
    assert len(held_out) == 1


def test_a_seed_gives_the_same_and_another_seed_another_part():
    labels = np.arange(1000) % 10
    first = stratified_split(labels, fraction=0.1, seed=3)[1]
    assert np.array_equal(first, stratified_split(labels, fraction=0.1, seed=3)[1])
    assert not np.array_equal(first, stratified_split(labels, fraction=0.1, seed=4)[1])
    assert not np.array_equal(first, stratified_split(labels, fraction=0.1, seed=(3, 1))[1])


def test_the_part_is_pinned_so_that_old_runs_can_be_repeated():
    assert stratified_split(np.arange(12) % 3, fraction=0.25, seed=0)[1].tolist() == [2, 7, 9]


def test_images_are_taken_evenly_from_the_whole_length():
    drawn = np.zeros(200)
    for seed in range(400):
        drawn[stratified_split(np.zeros(200, int), fraction=0.25, seed=seed)[1]] += 1
    # 100 expected each, standard deviation 8.7: six of them hold for 200 images at odds of 10^-7.
    assert np.all(abs(drawn - 100) < 52)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_fractions_that_are_none_are_refused(fraction):
    with pytest.raises(UserError, match="between 0 and 1"):
        stratified_split([0, 1], fraction=fraction, seed=0)


def test_groups_of_another_length_are_refused():
    with pytest.raises(UserError, match="shapes"):
        stratified_split([0, 1], fraction=0.5, seed=0, groups=[1])


def test_nothing_gives_nothing():
    kept, held_out = stratified_split([], fraction=0.5, seed=0)
    assert len(kept) == len(held_out) == 0
