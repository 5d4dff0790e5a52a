"""The report of a run: one self-contained page with all that it was given."""

import base64
import re
import shutil
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from ccvae_pyro.data.names import one_line
from ccvae_pyro.evaluation import (
    Evaluation,
    binary_metrics,
    categorical_metrics,
    continuous_metrics,
)
from ccvae_pyro.plotting import write_report
from ccvae_pyro.plotting.glossary import MEANINGS

METRICS = {
    "accuracy": 0.98765,
    "reconstruction_error": float("nan"),
    "per_label": {
        "Wearing_Hat": {"accuracy": 0.9, "auroc": 0.75},
        "<b>Hair</b>": {"accuracy": 0.6, "auroc": 0.5},
        "Age": {"r_squared": 0.25},
        "Class": {"accuracy": 0.5, "confusion": [[1, 2], [3, 4]]},
    },
}


class Page(HTMLParser):
    """The tags, sources and texts of a page."""

    def __init__(self, text):
        super().__init__()
        self.open, self.sources, self.cells = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.sources += [value for key, value in attrs if key in ("src", "href")]
        if tag not in ("meta", "img", "!doctype"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.cells.append(data)


@pytest.fixture
def text(tmp_path):
    picture = tmp_path / "walk.png"
    Image.new("RGB", (3, 2), "red").save(picture)
    path = tmp_path / "report.html"
    figures = {'A "walk" & more': picture}
    write_report(path, "faces <3", METRICS, figures, {"epochs": 20, "device": "cpu"})
    return path.read_text()


def test_a_report_is_well_formed_and_self_contained(text):
    page = Page(text)
    assert page.open == []
    (source,) = page.sources
    data = base64.b64decode(source.removeprefix("data:image/webp;base64,"))
    with Image.open(BytesIO(data)) as picture:
        assert picture.size == (3, 2)
        assert picture.getpixel((0, 0)) == pytest.approx((255, 0, 0), abs=20)
    assert not re.search("https?:|url\\(|@import", text)


def test_a_report_has_metrics_captions_and_settings(text):
    cells = Page(text).cells
    for cell in (
        "faces <3",
        "0.9877",
        "Wearing Hat",
        "<b>Hair</b>",
        "0.75",
        "0.25",
        "epochs",
        "20",
    ):
        assert cell in cells
    assert 'A "walk" & more' in cells
    assert "nan" not in cells


def headings(text):
    return re.findall("<h2>(.*?)</h2>", text)


def test_a_report_has_a_heading_for_each_section(text):
    assert headings(text) == ["Metrics", "Figures", "Metrics of each label"]


def test_figures_are_below_their_headings(tmp_path):
    Image.new("RGB", (3, 2), "red").save(tmp_path / "walk.png")
    walk, path = {"A walk.": tmp_path / "walk.png"}, tmp_path / "report.html"
    write_report(path, "faces", {"verdict": []}, {"Edited images": walk, "Samples": walk})
    assert headings(path.read_text()) == ["Verdict", "Edited images", "Samples"]


def test_a_report_starts_with_the_verdict(tmp_path):
    messages = ["reconstructions are poor. Train longer", "the loss was <still> falling"]
    found = [{"code": "still_falling", "message": message} for message in messages]
    write_report(tmp_path / "report.html", "faces", METRICS | {"verdict": found}, {})
    text = (tmp_path / "report.html").read_text()
    assert headings(text)[0] == "Verdict"
    cells = Page(text).cells
    assert "Reconstructions are poor. Train longer." in cells
    assert "The loss was <still> falling." in cells


def test_a_good_run_is_told_so(tmp_path):
    write_report(tmp_path / "report.html", "faces", METRICS | {"verdict": []}, {})
    assert "labels and reconstructions beat the trivial" in (tmp_path / "report.html").read_text()


def test_a_report_says_what_metrics_mean(tmp_path):
    y, values = np.arange(40) % 2, np.arange(40.0)
    per_label = {
        "hat": binary_metrics(y, np.full(40, 0.9)),
        "hair": categorical_metrics(y, np.eye(2)[y]),
        "age": continuous_metrics(values, values),
    }
    evaluation = Evaluation(*[0.5] * 7, per_label=per_label, reconstruction_error=0.1, bound=-9.0)
    metrics = evaluation.to_dict() | {"verdict": [], "seconds_per_epoch": 2.0}
    names = metrics.keys() - {"verdict", "per_label"}
    names |= {name for each in metrics["per_label"].values() for name in each} - {"confusion"}
    assert names == MEANINGS.keys()
    write_report(tmp_path / "report.html", "faces", metrics, {})
    cells = Page((tmp_path / "report.html").read_text()).cells
    for meaning in MEANINGS.values():
        assert f"{meaning[0].upper()}{meaning[1:]}." in cells


HOSTILE = "</td><script>document.title = 'ran'</script>\x00\u202e'\"& caf\udce9 " + "x" * 3_000


@pytest.fixture
def hostile(tmp_path):
    """A report whose texts all have such a name, and a picture."""
    Image.new("RGB", (30, 20), "red").save(tmp_path / "walk.png")
    metrics = {"accuracy": 0.5, "per_label": {HOSTILE: {"accuracy": 0.5}}}
    path = tmp_path / "report.html"
    write_report(path, HOSTILE, metrics, {HOSTILE: tmp_path / "walk.png"}, {HOSTILE: HOSTILE})
    return path


def test_names_stay_text(hostile):
    page = Page(hostile.read_text(encoding="utf-8"))
    assert page.open == []
    shown = one_line(HOSTILE)
    assert page.cells.count(shown) == 6  # title twice, label, caption, setting and its value


def test_a_browser_shows_a_report_and_runs_nothing_in_it(hostile):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    playwright = pytest.importorskip("playwright.sync_api")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page, said = browser.new_page(), []
        page.on("console", lambda message: said.append(message.text))
        page.goto(hostile.as_uri())
        assert page.title() != "ran"
        assert page.evaluate("document.images[0].naturalWidth") == 30
        assert page.evaluate("getComputedStyle(document.body).maxWidth") == "992px"  # its style
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert said == []
        page.evaluate(
            "document.body.insertAdjacentHTML('beforeend', '<img src=x:y onerror=alert()>')"
        )
        page.wait_for_timeout(200)
        assert any("Content Security Policy" in text for text in said)
        browser.close()
