from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.models.spec import ModelSpec
from convscope.models.spec_text import facts, format_shape, short_count, short_paper
from convscope.models.variants.registry import variants

POWERS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


@given(st.integers(0, 999 * 10**12))
def test_a_short_count_is_off_by_half_a_unit_of_its_third_digit_at_most(count):
    number, _, unit = short_count(count).partition(" ")
    assert len(number) <= 4 and float(number) < 1000 and (count < 1000) == (unit == "")
    assert float(number) * POWERS[unit] == pytest.approx(count, rel=0.00501)
    assert count < 1000 or sum(c.isdigit() for c in number) == 3


@pytest.mark.parametrize(
    ("count", "text"),
    [
        *[
            (0, "0"),
            (999, "999"),
            (1000, "1.00 k"),
            (61_706, "61.7 k"),
            (999_499, "999 k"),
            (999_500, "1.00 M"),
        ],
        *[(138_357_544, "138 M"), (15.5e9, "15.5 G"), (2e12, "2.00 T"), (None, "–")],
    ],
)
def test_counts_at_the_edges_of_a_unit(count, text):
    assert short_count(count) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (60_000, "60 k"),
        (0.27e6, "270 k"),
        (6.8e6, "6.8 M"),
        (28.09e6, "28.09 M"),
        (3.864e9, "3.864 G"),
        (25e6, "25 M"),
    ],
)
def test_published_figures_keep_the_digits_of_their_paper(count, text):
    spec = ModelSpec("x", published_parameters=count, published_in="table 1")
    assert dict(facts(spec))["published"] == f"{text} parameters (table 1)"


def test_an_exact_published_figure_stays_exact():
    assert dict(facts(variants["squeezenet1_0"].spec))["published"] == "1,248,424 parameters (table 1)"


@pytest.mark.parametrize(
    ("paper", "year", "text"),
    [
        ("He et al., Deep Residual Learning, 2015", 2015, "He et al. 2015"),
        ("Tan & Le, EfficientNet: Rethinking & Scaling, 2019", 2019, "Tan & Le 2019"),
        (
            "Krizhevsky, Sutskever & Hinton, ImageNet Classification, 2012",
            2012,
            "Krizhevsky, Sutskever & Hinton 2012",
        ),
        ("Chollet, Xception, 2017", 2017, "Chollet 2017"),
        ("", None, ""),
    ],
)
def test_papers_by_author_and_year(paper, year, text):
    assert short_paper(ModelSpec("x", paper=paper, year=year)) == text


def test_what_is_not_known_has_no_heading():
    assert dict(facts(ModelSpec("x"))) == {"designed for": "3×32×32 images, 10 classes"}


def test_every_fact_has_its_text():
    spec = ModelSpec(
        "x",
        paper="A & B, C, 2000",
        idea="an idea",
        parameters=1234,
        macs=5_000_000,
        receptive_field=31,
        published_macs=4.9e6,
        published_in="table 3",
        deviations="wider",
        small_form="no stem",
        options={"widths": (1, 2), "norm": True, "word": "max"},
    )
    assert dict(facts(spec)) == {
        "idea": "an idea",
        "paper": "A & B, C, 2000",
        "designed for": "3×32×32 images, 10 classes: 1,234 parameters, 5.00 M MACs, the last map sees 31 px",
        "published": "4.9 M MACs (table 3)",
        "deviations": "wider",
        "small form": "up to 64 px: no stem",
        "default options": "widths=[1,2], norm=true, word=max",
    }


@pytest.mark.parametrize("name", variants)
def test_each_network_has_a_short_paper_and_options_that_can_be_typed(name):
    from convscope.core.settings import parse_settings

    spec = variants[name].spec
    assert len(short_paper(spec)) <= 45 and short_paper(spec).endswith(str(spec.year or ""))
    text = dict(facts(spec)).get("default options", "")
    typed = parse_settings(text.split(", ") if text else [])
    assert spec.with_changes(options=typed).options == spec.options


def test_shapes_are_written_as_people_do():
    assert (format_shape((3, 4, 5)), format_shape(()), format_shape((7,))) == ("3×4×5", "", "7")
