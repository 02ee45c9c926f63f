"""The report in a real browser: narrow and wide, light and dark. Skipped where there is no Chromium."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import small_data
from convscope.core.config import RunConfig
from convscope.core.run.progress import Silent
from convscope.report.write import write_report
from convscope.training.train import train_run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium"
)

HOSTILE = (
    "<b>ant</b> & 'co'",
    'bee"><script>alert(1)</script>',
    "a cow with a name that is as long as a sentence $x^2$",
)
ROOMY = """() => ({
  wider: document.documentElement.scrollWidth - innerWidth,
  outside: [...document.querySelectorAll('main *')].filter((e) => {
    const box = e.getBoundingClientRect();
    return box.width && box.right > innerWidth + 1 && !e.closest('.wide');
  }).map((e) => e.outerHTML.slice(0, 80)),
})"""
SOUND = """() => ({
  unnamed: [...document.querySelectorAll('img:not([alt]), img[alt=""], svg[role=img]:not([aria-label])')]
    .length,
  broken: [...document.images].filter((i) => i.complete && !i.naturalWidth).length,
  twice: [...document.querySelectorAll('[id]')].map((e) => e.id)
    .filter((id, n, all) => all.indexOf(id) !== n),
  astray: [...document.querySelectorAll('a')]
    .map((a) => a.getAttribute('href') || a.getAttribute('xlink:href'))
    .filter((link) => !link || !link.startsWith('#') || !document.getElementById(link.slice(1))),
  headings: [...document.querySelectorAll('h2')].map((e) => e.textContent),
})"""
COLOURS = """() => {
  const style = getComputedStyle(document.body);
  return [style.color, style.backgroundColor].map((c) => c.match(/\\d+/g).slice(0, 3).map(Number));
}"""


def with_wrong_labels(path):
    """Every fifth label of the test split is another one, so that there are mistakes to show."""
    with np.load(path) as file:
        arrays = dict(file)
    arrays["y_test"][::5] = (arrays["y_test"][::5] + 1) % len(HOSTILE)
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    """The report of a run over classes with hostile names."""
    root = tmp_path_factory.mktemp("report")
    data = with_wrong_labels(small_data.write_npz(root / "data.npz", classes=HOSTILE))
    config = RunConfig.from_dict(small_data.settings()).merge({"data": {"source": str(data)}})
    run = train_run(config, out=root / "run", observer=Silent())
    return write_report(run.folder).path


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        arguments = [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
        ]
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)


@pytest.fixture
def opened(browser, page_file):
    """A function that opens the page, and the list of what went wrong or was asked for while it was open."""
    complaints: list[str] = []

    def open_page(width: int = 1440, scheme: str = "light"):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda request: request.url.startswith(("file:", "data:")) or complaints.append(request.url),
        )
        page.goto(page_file.as_uri())
        return page

    yield open_page, complaints
    for context in browser.contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_sticks_out_and_nothing_is_asked_of_a_network(opened, width, scheme):
    open_page, complaints = opened
    assert open_page(width, scheme).evaluate(ROOMY) == {"wider": 0, "outside": []}
    assert complaints == []


def test_every_picture_has_words_and_every_link_an_end(opened):
    found = opened[0]().evaluate(SOUND)
    assert len(found.pop("headings")) == 12
    assert found == {"unnamed": 0, "broken": 0, "twice": [], "astray": []}


def test_light_and_dark(opened):
    for scheme, darker in (("light", 0), ("dark", 1)):
        colours = opened[0](scheme=scheme).evaluate(COLOURS)
        luminance = [sum(colour) / 3 for colour in colours]
        assert luminance[darker] + 150 < luminance[1 - darker]


def test_names_of_classes_are_text(opened):
    page = opened[0]()
    assert page.evaluate("document.querySelectorAll('script').length") == 1
    assert HOSTILE[1] in page.inner_text("#classes")


def test_a_click_in_the_confusion_matrix_opens_the_images_of_the_cell(opened):
    page = opened[0]()
    link = page.locator("#confusion svg a").first
    link.scroll_into_view_if_needed()
    target = link.get_attribute("xlink:href") or link.get_attribute("href")
    assert not page.evaluate(f"document.querySelector('{target}').closest('details').open")
    link.click()
    assert page.evaluate(f"document.querySelector('{target}').closest('details').open")


def test_it_prints(opened, tmp_path):
    paper = opened[0]().pdf(format="A4")
    assert paper.startswith(b"%PDF") and len(paper) > 20_000
