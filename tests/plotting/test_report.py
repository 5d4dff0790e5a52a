"""The report of a run: one self-contained page with all that it was given."""

import base64
import re
from html.parser import HTMLParser
from io import BytesIO

import pytest
from PIL import Image

from ccvae_pyro.plotting import write_report

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
