from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.core.errors import UserError
from convscope.models.spec import ModelSpec, check_shape, merge_options

DEFAULTS = {"widths": (16, 32), "kernel": (3,), "pooling": "max", "hidden": 128, "dropout": 0.2, "bias": True}


def test_spec_needs_no_torch():
    code = "import sys, convscope.models.spec; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    # core.contracts is not imported by it, so not even numpy is.
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("given_options", "option", "value"),
    [
        ({"widths": [8, 16, 32]}, "widths", (8, 16, 32)),
        ({"widths": 8}, "widths", (8,)),
        ({"kernel": 5}, "kernel", (5,)),
        ({"kernel": [5, 3]}, "kernel", (5, 3)),
        ({"pooling": "average"}, "pooling", "average"),
        ({"hidden": 64}, "hidden", 64),
        ({"dropout": 0}, "dropout", 0.0),
        ({"dropout": 0.5}, "dropout", 0.5),
        ({"bias": False}, "bias", False),
    ],
)
def test_options_take_values_of_their_kind(given_options, option, value):
    merged = merge_options("net", DEFAULTS, given_options)
    assert merged[option] == value
    assert type(merged[option]) is type(value)
    assert {k: v for k, v in merged.items() if k != option} == {
        k: v for k, v in DEFAULTS.items() if k != option
    }


@pytest.mark.parametrize(
    "given_options",
    [
        {"widths": []},
        {"widths": [0]},
        {"widths": [-4, 8]},
        {"widths": [1.5]},
        {"widths": "16,32"},
        {"widths": [True]},
        {"widths": None},
        {"pooling": 2},
        {"hidden": 1.5},
        {"hidden": "128"},
        {"hidden": True},
        {"hidden": 0},
        {"hidden": -128},
        {"hidden": 65_537},
        {"hidden": 2**70},
        {"widths": [16, 65_537]},
        {"dropout": "half"},
        {"dropout": float("nan")},
        {"dropout": float("inf")},
        {"bias": 1},
    ],
)
def test_values_of_another_kind_are_named(given_options):
    (option,) = given_options
    with pytest.raises(UserError, match=f"net's option {option} is .*give"):
        merge_options("net", DEFAULTS, given_options)


def test_numbers_up_to_the_largest_are_taken():
    merged = merge_options("net", DEFAULTS, {"hidden": 65_536, "widths": [1, 65_536]})
    assert (merged["hidden"], merged["widths"]) == (65_536, (1, 65_536))
    with pytest.raises(UserError, match="give a whole number above 0 and up to 65,536, such as 128"):
        merge_options("net", DEFAULTS, {"hidden": 65_537})


def test_unknown_option_names_the_nearest():
    with pytest.raises(UserError, match="no option of net 'width'; did you mean 'widths'"):
        merge_options("net", DEFAULTS, {"width": 3})
    with pytest.raises(UserError, match="net has no options"):
        merge_options("net", {}, {"width": 3})


@pytest.mark.parametrize(
    "shape", [(3, 32), (3, 32, 32, 1), (2, 8, 8), (3, 0, 8), (3, 8, -1), (3.0, 8, 8), (4, 8, 8), "abc", ()]
)
def test_bad_shapes_are_refused(shape):
    with pytest.raises(UserError, match="channels × height × width"):
        check_shape(shape)


@pytest.mark.parametrize("shape", [(3, 4097, 8), (1, 8, 4097), (3, 999_999, 999_999)])
def test_sides_that_fill_a_memory_are_refused(shape):
    with pytest.raises(UserError, match="up to 4096 pixels"):
        check_shape(shape)


@given(st.sampled_from([1, 3]), st.integers(1, 4096), st.integers(1, 4096))
def test_every_image_shape_passes(channels, height, width):
    assert check_shape([channels, height, width]) == (channels, height, width)


@pytest.mark.parametrize("classes", [1, 0, -3, 2.0, True, "ten"])
def test_bad_class_counts_are_refused(classes):
    with pytest.raises(UserError, match="classes="):
        ModelSpec("net", classes=classes)


def test_changes_leave_the_original_alone():
    spec = ModelSpec("net", options=DEFAULTS)
    changed = spec.with_changes(input_shape=[1, 9, 9], classes=4, options={"hidden": 3})
    assert (changed.input_shape, changed.classes, changed.options["hidden"]) == ((1, 9, 9), 4, 3)
    assert (spec.input_shape, spec.classes, spec.options["hidden"]) == ((3, 32, 32), 10, 128)
    assert spec.with_changes() == spec


def test_a_spec_survives_json():
    spec = ModelSpec(
        "net", title="Net", year=2020, input_shape=(1, 28, 28), classes=3, options=DEFAULTS, parameters=7
    )
    assert ModelSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_an_unknown_field_is_named():
    with pytest.raises(UserError, match="did you mean 'classes'"):
        ModelSpec.from_dict({"name": "net", "clases": 3})
