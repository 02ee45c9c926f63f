"""The public face is a short explicit list."""

import inspect

import pytest

import convscope

PUBLIC = [
    "ConvscopeError",
    "Failure",
    "RunConfig",
    "UserError",
    "__version__",
    "compare",
    "evaluate",
    "explain",
    "find_label_issues",
    "load",
    "scan",
    "summary",
    "train",
    "write_report",
]


def test_the_list_is_this_one() -> None:
    assert convscope.__all__ == PUBLIC == dir(convscope)


@pytest.mark.parametrize("name", [name for name in PUBLIC if name != "__version__"])
def test_each_name_is_there_typed_and_documented(name: str) -> None:
    thing = getattr(convscope, name)
    assert inspect.getdoc(thing)
    if inspect.isfunction(thing):
        signature = inspect.signature(thing)
        assert signature.return_annotation is not inspect.Signature.empty
        assert all(p.annotation is not inspect.Parameter.empty for p in signature.parameters.values())
        assert ">>>" in (inspect.getdoc(thing) or ""), f"{name} has no example"


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(AttributeError, match=r"public names: .*train"):
        convscope.trian  # noqa: B018


def test_an_older_name_still_works_and_names_the_newer_one() -> None:
    with pytest.warns(DeprecationWarning, match=r"find_label_errors is now convscope\.find_label_issues"):
        assert convscope.find_label_errors is convscope.find_label_issues
    assert "find_label_errors" not in dir(convscope)
