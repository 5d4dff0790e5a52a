"""Names that users chose, in figures: bounded, printable, never formulas."""

import matplotlib
import pytest
import torch

import ccvae_pyro
from ccvae_pyro import plotting
from ccvae_pyro.data.names import one_line, shortened, spaced
from ccvae_pyro.evaluation import BinaryMetrics
from ccvae_pyro.labels import Binary, Categorical, Continuous
from ccvae_pyro.plotting import text

HOSTILE = {
    "dollars": "price $5 or $6",
    "two dollars": "$$",
    "formula": r"$\frac{1}{$",
    "percent": "100 % \\ {}",
    "300": "long name " * 30,
    "10000": "a" * 10_000,
    "lines": "two\nlines\r\nand\ttabs\x1b[2J\x00",
    "wide": "日本語の名前 😀",
    "right to left": "\u202e\u05e9\u05dc\u05d5\u05dd \u2066abc",
    "blank": " \u200b\t",
    "not UTF-8": "caf\udce9",
    "HTML": "<script>alert('&\")</script>",
    "path": "x/../../../../home/pwned",
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Wearing_Hat", "Wearing Hat"),
        ("two\nlines\tand\x1b[2J\x00", "two lines and [2J"),
        ("\u202etxt.exe\u2066", "txt.exe"),
        ("\u200b \n", r"'\u200b \n'"),
        ("_", "' '"),
        ("", ""),
        ("caf\udce9", "caf\N{REPLACEMENT CHARACTER}"),
        ("日本", "日本"),
    ],
)
def test_a_name_is_on_one_line_and_can_be_printed(name, expected):
    assert spaced(name) == expected


def test_a_long_name_keeps_both_of_its_ends():
    left, right = ("ventricle " * 40 + side for side in ("left", "right"))
    assert shortened(left) != shortened(right)
    assert all(len(shortened(name)) <= 32 for name in (left, right))
    assert one_line(left) == left


def test_only_what_no_font_has_becomes_a_box():
    assert text.drawable("ä…\n日") == "ä…\n□"
    assert text.drawn("$5 or $6") == "$5 or $6"


def test_a_fallback_font_is_used_where_it_is_installed(monkeypatch):
    monkeypatch.setattr(text, "FALLBACK_FONTS", ("No Such Font", "DejaVu Serif"))
    with matplotlib.rc_context({"font.family": ["DejaVu Sans Mono"]}):
        assert text.text_properties()["family"] == ["DejaVu Sans Mono", "DejaVu Serif"]


@pytest.fixture(scope="module")
def hostile():
    """A model whose labels and classes have such names."""
    torch.set_default_dtype(torch.float32)
    names = tuple(HOSTILE.values())
    labels = (
        Categorical("class of $ $" + "e" * 300, names),
        *(Binary(f"{name} ") for name in names),
        Continuous(r"age $\frac$", 30.0, 10.0),
    )
    z_dim = sum(label.dim for label in labels) + 3
    return ccvae_pyro.mnist(z_dim=z_dim, labels=labels, convolutions=False)


def figures_of(model):
    """Every figure of labels, by its name."""
    x, names = torch.rand(3, 1, 28, 28), model.label_names
    y = torch.zeros(2, len(names))
    y[0] = 1
    nan = BinaryMetrics(*[0.5] * 9)
    label = model.labels[0]
    return {
        "samples": lambda: plotting.plot_samples(model, y),
        "edits": lambda: plotting.plot_edits(model, x, names),
        "swaps": lambda: plotting.plot_swaps(model, x, x, names),
        "variations": lambda: plotting.plot_variations(model, x[0], names[1:-1]),
        "walk": lambda: plotting.plot_walk(model, x[0], names[1:]),
        "walk_2d": lambda: plotting.plot_walk_2d(model, x[0], (names[0], names[1])),
        "class_walk": lambda: plotting.plot_class_walk(model, x[0], names[0]),
        "confusion": lambda: plotting.plot_confusion(dict.fromkeys(names[1:-1], nan)),
        "class_confusion": lambda: plotting.plot_class_confusion(
            label, torch.eye(len(label.classes)).long().tolist()
        ),
        "change": lambda: plotting.plot_change(names, torch.eye(len(names)).numpy()),
    }


FIGURES = ("samples", "edits", "swaps", "variations", "walk", "walk_2d", "class_walk")
FIGURES += ("confusion", "class_confusion", "change")


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_drawn_whatever_the_names_are(name, hostile, tmp_path, texts):
    torch.set_default_dtype(torch.float32)
    figure = figures_of(hostile)[name]()
    figure.savefig(tmp_path / "figure.png", dpi=30)
    assert max(figure.get_size_inches()) < 40
    for line in (line for each in texts(figure) for line in each.split("\n")):
        assert len(line) <= 60
        assert line.isprintable()


def test_a_name_with_dollars_is_drawn_as_it_is(texts):
    figure = plotting.draw_grid(torch.rand(1, 1, 3, 8, 8), ["$5 or $6"], ["$a$"])
    assert texts(figure) == ["$5 or $6", "$a$"]
    labels = [*figure.axes[0].get_yticklabels(), *figure.axes[0].get_xticklabels()]
    assert not any(label.get_parse_math() for label in labels)
