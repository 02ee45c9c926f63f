from __future__ import annotations

import pytest

from convscope.core.errors import UserError
from convscope.core.registry import Registry


def test_names_in_order_and_each_once():
    shapes: Registry[int] = Registry("shape")
    shapes.add("b")(1)
    shapes.add("a")(2)
    assert list(shapes) == ["b", "a"] and len(shapes) == 2 and "a" in shapes and "c" not in shapes
    assert shapes["a"] == 2
    with pytest.raises(ValueError, match="shape 'a' is registered already"):
        shapes.add("a")
    with pytest.raises(UserError, match="there is no shape 'aa'; did you mean 'a'"):
        shapes["aa"]


def test_it_decorates():
    shapes: Registry[object] = Registry("shape")

    @shapes.add("x")
    def f() -> None: ...

    assert shapes["x"] is f
