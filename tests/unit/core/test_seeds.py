from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from convscope.core.seeds import derive, generator

words = st.lists(
    st.one_of(st.integers(0, 10**9), st.text(st.characters(codec="ascii", exclude_categories=["Cc"])))
)


@given(st.integers(0, 2**80), words)
def test_a_number_torch_and_numpy_take_that_depends_on_nothing_else(seed, path):
    number = derive(seed, *path)
    assert 0 <= number < 2**63 and number == derive(seed, *path)
    assert number != derive(seed + 1, *path) and number != derive(seed, *path, "more")


def test_the_numbers_never_change_between_versions():
    """Runs are resumed and repeated by them: SHA-256 of the words with 0x1f between, the first 63 bits."""
    assert derive(0, "step", 3) == int.from_bytes(hashlib.sha256(b"0\x1fstep\x1f3").digest()[:8], "big") // 2
    assert derive(0, "step", 3) == 4684684708116847563


def test_uses_do_not_run_together():
    assert len({derive(0, "a", "b"), derive(0, "ab"), derive(0, "b", "a"), derive(0, "a", "b", "")}) == 4


def test_a_generator_is_that_of_its_use():
    assert generator(1, "a").random() == generator(1, "a").random() != generator(1, "b").random()
