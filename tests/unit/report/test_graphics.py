from __future__ import annotations

import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from convscope.core.plotting import BLUE, GREY, new_figure
from convscope.report.graphics import INK, SIDE, data_uri, framed, inline_svg


def opened(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_small_image_comes_back_bit_for_bit(channels):
    image = np.random.default_rng(0).integers(0, 256, (28, 20, channels), dtype=np.uint8)
    shown = np.asarray(opened(data_uri(image))).reshape(image.shape)
    assert (shown == image).all()


@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from([1, 3]))
def test_a_large_one_is_made_small_in_its_proportions(height, width, channels):
    uri = data_uri(np.zeros((height, width, channels), np.uint8))
    shown = opened(uri)
    scale = min(1, SIDE / max(height, width))
    assert max(shown.size) <= SIDE
    assert shown.width == pytest.approx(width * scale, abs=1) and shown.height == pytest.approx(
        height * scale, abs=1
    )
    assert uri.startswith("data:image/png" if max(shown.size) <= 40 else "data:image/jpeg")


def test_a_photograph_costs_a_few_kilobytes():
    x = np.linspace(0, 255, 227).astype(np.uint8)
    assert len(data_uri(np.stack([np.add.outer(x // 2, x // 2)] * 3, axis=2))) < 4000
    noise = np.random.default_rng(0).integers(90, 140, (64, 64, 3), dtype=np.uint8)
    assert len(data_uri(noise)) < 5000  # 12,000 as PNG; a page may have 800 of them


def test_the_text_of_a_picture():
    shown = framed(np.zeros((28, 28, 1), np.uint8), "a.png", text="97 %")
    assert (shown.alt, shown.name, shown.text, shown.small) == ("a.png", "a.png", "97 %", True)
    assert not framed(np.zeros((99, 28, 1), np.uint8), "a.png").small


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
