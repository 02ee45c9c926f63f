from __future__ import annotations

import pytest

from convscope.core.errors import ConvscopeError, Failure, ShapeError, UserError, nearest, unknown_name


def test_exit_codes():
    assert (UserError.exit_code, ShapeError.exit_code, Failure.exit_code) == (2, 2, 1)
    assert issubclass(ShapeError, UserError) and issubclass(Failure, ConvscopeError)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("LENET5", "lenet5"), ("lenet", "lenet5"), ("small-cnn", "small_cnn"), ("zzz", None)],
)
def test_the_nearest_name(name, expected):
    assert nearest(name, ["lenet5", "small_cnn"]) == expected


def test_nothing_is_near_nothing():
    assert nearest("", ["a"]) is None and nearest("a", []) is None


def test_a_long_list_is_cut():
    text = str(unknown_name("network", "x", [f"net{i:02}" for i in range(30)]))
    assert text.count("net") == 25 and text.endswith("and 6 more")
