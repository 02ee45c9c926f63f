from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.data.ordered_parallel_map import ordered_parallel_map


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(), max_size=60), st.integers(1, 5))
def test_it_is_map(items: list[int], threads: int) -> None:
    assert list(ordered_parallel_map(lambda n: n * 2, items, threads=threads)) == [n * 2 for n in items]


def test_answers_keep_their_order_when_the_first_is_slow() -> None:
    assert list(
        ordered_parallel_map(lambda n: time.sleep(0.05 if n == 0 else 0) or n, range(10), threads=4)
    ) == list(range(10))


def test_only_a_few_answers_wait() -> None:
    started: list[int] = []
    answers = ordered_parallel_map(lambda n: started.append(n) or n, range(1000), threads=2)
    assert next(answers) == 0
    time.sleep(0.05)
    assert len(started) < 20
    answers.close()  # type: ignore[attr-defined]


def test_an_error_comes_through_and_leaves_no_thread() -> None:
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        list(ordered_parallel_map(lambda n: 1 // (5 - n), range(100), threads=3))
    assert threading.active_count() == before
