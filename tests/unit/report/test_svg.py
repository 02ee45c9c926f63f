from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from convscope.core.plotting import BLUE, GREY, new_figure
from convscope.report.svg import INK, inline_svg


def drawn():
    figure = new_figure(4, 3)
    axes = figure.subplots()
    axes.plot([1, 2, 3], [3, 1, 2], "o-", color=BLUE, label="a < b & c")
    axes.axhline(2, color=GREY)
    axes.text(1, 1, "black on purpose", color="black", url="#!cell-1")
    axes.imshow([[0, 1], [2, 3]], extent=(0, 1, 0, 1))
    axes.set_title("a $title$")
    axes.legend()
    return figure


@pytest.fixture(scope="module")
def svg():
    return str(inline_svg("one", 'curves of "a" <b>', drawn))


def test_it_is_one_element_of_well_formed_xml_with_words_for_those_who_cannot_see_it(svg):
    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("svg")
    assert (root.get("role"), root.get("aria-label")) == ("img", 'curves of "a" <b>')
    assert root.get("width") is None and root.get("viewBox")


def test_ids_of_two_figures_do_not_meet_and_every_reference_is_kept(svg):
    other = str(inline_svg("two", "", drawn))
    ids, others = (set(re.findall(r'\bid="([^"]+)"', text)) for text in (svg, other))
    assert ids and not ids & others
    pointed = set(re.findall(r'(?:href="|url\()#([^")]+)', svg)) - {"cell-1"}
    assert pointed and pointed <= ids


def test_a_link_of_our_own_stays(svg):
    assert 'href="#cell-1"' in svg


def test_ink_is_the_page_s_and_other_colours_stay(svg):
    assert INK not in svg.lower()
    assert "currentColor" in svg and BLUE.lower() in svg.lower()
    assert GREY not in svg.lower() and "stroke: var(--quiet)" in svg  # else it is lost on a dark page


def test_nothing_is_loaded_and_nothing_covers_the_paper(svg):
    loaded = [
        url
        for url in re.findall(r'href="([^"]+)"', svg)
        if not url.startswith(("#", "data:image/png;base64,"))
    ]
    assert loaded == []
    assert "fill: #ffffff" not in svg.split('id="one-axes_1"')[0]


def test_the_same_figure_is_the_same_text(svg):
    assert str(inline_svg("one", 'curves of "a" <b>', drawn)) == svg
