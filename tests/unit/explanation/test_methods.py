"""The list of methods is sound."""

from __future__ import annotations

import re

import pytest

from convscope.core.errors import UserError
from convscope.explanation.methods import Method, enter, methods


@pytest.mark.parametrize("name", list(methods))
def test_each_entry_speaks(name):
    method = methods[name]
    assert method.name == name and re.fullmatch(r"[a-z][a-z_]*", name)
    assert method.title and method.title[0].isupper()
    assert re.search(r"\b(19|20)\d\d\b", method.paper), "a paper has a year"
    assert method.needs in ("feature_maps", "gradients", "predictions") and callable(method.compute)


def test_titles_are_told_apart():
    assert len({methods[name].title for name in methods}) == len(methods)


def test_a_name_is_given_once_and_an_unknown_one_is_answered():
    again = methods["grad_cam"]
    with pytest.raises(ValueError, match="'grad_cam' is registered already"):
        enter(again)
    with pytest.raises(
        UserError, match=r"there is no method of explaining 'gradcam'; did you mean 'grad_cam'\?"
    ):
        methods["gradcam"]


def test_the_usual_method_cuts_off_nothing_and_knows_classes():
    method = Method(
        "plain", "Plain", "predictions", "Nobody 2000", lambda explained_model, images, targets: images
    )
    assert not method.relu and not method.class_agnostic
