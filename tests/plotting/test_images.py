"""The texts and images of figures of images."""

import numpy as np
import pytest
import torch

import ccvae_pyro
from ccvae_pyro import plotting
from ccvae_pyro.labels import Binary, Categorical, Continuous
from ccvae_pyro.plotting import grid

NAMES = ("Bald", "Big_Beard", "Wearing_Hat")
LABELS = (
    Categorical("hair", ("black", "dark_red", "white")),
    Binary("Hat"),
    Continuous("Age", 30.0, 10.0),
)


@pytest.fixture
def faces():
    ccvae = ccvae_pyro.celeba(num_labels=3, z_dim=5, label_names=NAMES)
    return ccvae, torch.rand(4, 3, 64, 64)


@pytest.fixture
def mixed():
    return ccvae_pyro.celeba(z_dim=6, labels=LABELS), torch.rand(3, 3, 64, 64)


def image(figure, row, column, size=64):
    """One of the images in the grid of a figure."""
    start = np.array([row, column]) * (size + grid.GAP)
    canvas = figure.axes[0].images[0].get_array()
    return canvas[start[0] : start[0] + size, start[1] : start[1] + size]


def shape(figure, size=64):
    """The number of rows and columns of images in a figure."""
    canvas = figure.axes[0].images[0].get_array()
    return tuple(n // (size + grid.GAP) for n in canvas.shape[:2])


def test_reconstructions_have_a_row_for_each_epoch(faces, texts):
    _, x = faces
    rows = {1: torch.zeros(4, 3, 64, 64, dtype=torch.uint8), 8: x}
    figure = plotting.plot_reconstructions(x, rows)
    assert texts(figure) == ["images", "epoch 1", "epoch 8"]
    assert shape(figure) == (3, 4)
    assert np.allclose(image(figure, 0, 2), x[2].permute(1, 2, 0))
    assert not image(figure, 1, 2).any()


def test_samples_have_their_labels_on_the_left(faces, texts):
    ccvae, _ = faces
    y = torch.tensor([[0.0, 1, 1], [0, 0, 0]])
    figure = plotting.plot_samples(ccvae, y, num_samples=2)
    assert texts(figure) == ["Big Beard\nWearing Hat", "none"]
    assert shape(figure) == (2, 2)


def test_values_of_every_kind_of_label_are_written_out(mixed, texts):
    ccvae, x = mixed
    y = torch.tensor([[1.0, 1, 42], [2, 0, 17]])
    figure = plotting.plot_samples(ccvae, y, num_samples=2)
    assert texts(figure) == ["dark red\nHat\nAge 42", "white\nAge 17"]
    figure = plotting.plot_edits(ccvae, x, ("hair", "Hat", "Age"))
    assert {"black", "dark red", "white", "Hat", "Age 10", "Age 50"} < set(texts(figure))
    assert shape(figure) == (3, 8)


def test_edits_set_labels_to_the_opposite_value_and_mark_it(faces, texts):
    ccvae, x = faces
    ccvae.classifier.weight.data.zero_()
    ccvae.classifier.bias.data = torch.tensor([9.0, -9.0, -9.0])
    figure = plotting.plot_edits(ccvae, x[:1], NAMES)
    assert [t for t in texts(figure) if t in "+\N{MINUS SIGN}"] == ["\N{MINUS SIGN}", "+", "+"]
    assert np.allclose(image(figure, 0, 0), x[0].permute(1, 2, 0))
    removed = ccvae_pyro.edit(ccvae, x[:1], "Bald", 0, num_std=2)[0]
    assert np.allclose(image(figure, 0, 2), removed.permute(1, 2, 0))


def test_walk_has_a_row_for_each_label(faces, texts):
    ccvae, x = faces
    figure = plotting.plot_walk(ccvae, x[0], NAMES, num_steps=4)
    assert texts(figure) == ["Bald", "Big Beard", "Wearing Hat", "without", "with"]
    expected = ccvae_pyro.walk(ccvae, x[:1], "Big_Beard", num_steps=4)[0, 2]
    assert np.allclose(image(figure, 1, 2), expected.permute(1, 2, 0))


def test_walks_name_their_ends(mixed, texts):
    ccvae, x = mixed
    figure = plotting.plot_walk(ccvae, x[0], ("hair", "Hat", "Age"), num_steps=3)
    assert texts(figure) == ["hair\nblack to white", "Hat\nwithout to with", "Age\n10 to 50"]
    figure = plotting.plot_walk_2d(ccvae, x[0], ("hair", "Age"), num_steps=3)
    assert set(texts(figure)) == {"black", "white", "Age 10", "Age 50"}


def test_walk_2d_names_the_ends_of_both_axes(faces, texts):
    ccvae, x = faces
    figure = plotting.plot_walk_2d(ccvae, x[0], ("Bald", "Wearing_Hat"), num_steps=3)
    ends = {"with Bald", "without Bald", "with\nWearing Hat", "without\nWearing Hat"}
    assert set(texts(figure)) == ends
    assert shape(figure) == (3, 3)


def test_class_walk_has_a_row_for_each_class(mixed, texts):
    ccvae, x = mixed
    figure = plotting.plot_class_walk(ccvae, x[0], "hair", num_steps=4)
    assert shape(figure) == (3, 5)
    assert {"black", "dark red", "white"} < set(texts(figure))
    red = ccvae_pyro.edit(ccvae, x[:1], "hair", "dark_red")[0]
    assert np.allclose(image(figure, 1, 4), red.permute(1, 2, 0), atol=1e-6)
    reconstruction = ccvae_pyro.reconstruct(ccvae, x[:1])[0]
    assert np.allclose(image(figure, 2, 1), reconstruction.permute(1, 2, 0), atol=1e-6)


def test_swaps_have_a_row_for_each_image_and_a_column_for_each_donor(faces, texts):
    ccvae, x = faces
    figure = plotting.plot_swaps(ccvae, x[:2], x[1:], "Big_Beard")
    assert shape(figure) == (3, 4)
    donor, changed = x[2], ccvae_pyro.swap(ccvae, x[1:2], x[2:3], "Big_Beard")[0]
    for place, shown in {(0, 2): donor, (2, 0): x[1], (2, 2): changed}.items():
        assert np.allclose(image(figure, *place), shown.permute(1, 2, 0), atol=1e-6)
    assert "donors of\nBig Beard" in texts(figure)
    assert "donors of\nall labels" in texts(plotting.plot_swaps(ccvae, x[:2], x[1:]))


def test_interpolations_start_and_end_at_the_images(faces):
    ccvae, x = faces
    figure = plotting.plot_interpolations(ccvae, x[:2], x[2:], num_steps=5)
    assert shape(figure) == (2, 7)
    ends = {(1, 0): x[1], (1, 6): x[3], (1, 5): ccvae_pyro.reconstruct(ccvae, x[3:])[0]}
    for place, shown in ends.items():
        assert np.allclose(image(figure, *place), shown.permute(1, 2, 0), atol=1e-6)


def test_variations_end_with_the_standard_deviation_of_pixels(faces, texts):
    ccvae, x = faces
    figure = plotting.plot_variations(ccvae, x[0], ["Bald", "Wearing_Hat"], num_samples=4)
    assert shape(figure) == (2, 6)
    maps = np.stack([image(figure, row, 5) for row in (0, 1)])
    assert maps.max() == 1
    assert maps.min() >= 0
    assert {"Bald", "Wearing Hat", "standard\ndeviation"} <= set(texts(figure))


@pytest.mark.parametrize(
    ("shape", "num_rows", "num_columns", "inches"),
    [
        ((64, 64), 2, 3, (1, 1)),
        ((28, 28), 2, 3, (1, 1)),
        ((128, 128), 2, 3, (1.6, 1.6)),
        ((256, 256), 4, 10, (3.2, 3.2)),
        ((128, 128), 40, 8, (1.2, 1.2)),  # 48 inches in all
        ((256, 128), 3, 2, (3.2, 1.6)),
        ((28, 56), 3, 2, (1, 2)),
    ],
)
def test_images_keep_their_pixels_and_their_shape(shape, num_rows, num_columns, inches):
    rows = torch.zeros(num_rows, num_columns, 1, *shape)
    figure = plotting.draw_grid(rows, [""] * num_rows)
    width, height = figure.get_size_inches()
    assert height == pytest.approx(inches[0] * num_rows + 0.6, rel=0.05)
    assert width == pytest.approx(inches[1] * num_columns + 0.4, rel=0.06)


# ---- Many labels and classes ----

MANY = (
    Categorical("breed", tuple(f"breed_{i}" for i in range(149))),
    *(Binary(f"label_{i}") for i in range(60)),
)


@pytest.fixture(scope="module")
def many():
    torch.set_default_dtype(torch.float32)
    z_dim = sum(label.dim for label in MANY) + 2
    return ccvae_pyro.mnist(z_dim=z_dim, labels=MANY, convolutions=False)


NAMES_OF_MANY = [label.name for label in MANY]
CUT = {
    "class walk": (
        lambda model, x: plotting.plot_class_walk(model, x[0], "breed"),
        (40, 9),
        "the first 40 of 149 classes",
    ),
    "walk": (
        lambda model, x: plotting.plot_walk(model, x[0], NAMES_OF_MANY[1:]),
        (40, 9),
        "the first 40 of 60 labels",
    ),
    "variations": (
        lambda model, x: plotting.plot_variations(model, x[0], NAMES_OF_MANY[1:]),
        (40, 9),
        "the first 40 of 60 labels",
    ),
    "edits": (
        lambda model, x: plotting.plot_edits(model, x[:2], NAMES_OF_MANY),
        (2, 24),
        "the first 10 of 149 classes of breed; the first 22 of 70 edits",
    ),
    "samples": (
        lambda model, x: plotting.plot_samples(model, torch.zeros(149, 61), num_samples=2),
        (40, 2),
        "the first 40 of 149 label vectors",
    ),
    "images": (
        lambda model, x: plotting.plot_reconstructions(x, {1: x}),
        (2, 40),
        "the first 40 of 50 columns",
    ),
    "other rows": (
        lambda model, x: plotting.draw_grid(x[:, None], [""] * 50),
        (40, 1),
        "the first 40 of 50 rows",
    ),
}


@pytest.mark.parametrize("name", CUT)
def test_a_figure_shows_the_first_of_many_and_says_so(many, name):
    torch.set_default_dtype(torch.float32)
    draw, size, note = CUT[name]
    figure = draw(many, torch.rand(50, 1, 28, 28))
    assert shape(figure, size=28) == size
    assert figure.get_supxlabel() == note


def test_a_figure_of_all_has_no_note(mixed):
    ccvae, x = mixed
    assert not plotting.plot_class_walk(ccvae, x[0], "hair").get_supxlabel()


def test_a_row_names_as_many_labels_as_it_has_room_for(many, texts):
    torch.set_default_dtype(torch.float32)
    figure = plotting.plot_samples(many, torch.ones(1, 61), num_samples=2)
    expected = ["breed 1", "label 0", "label 1", "label 2", "label 3", "and 56 more"]
    assert texts(figure) == ["\n".join(expected)]


def test_a_column_has_a_title_as_wide_as_an_image(texts):
    rows, name = torch.rand(1, 2, 3, 8, 8), "the width of the left lung in the scan of the chest"
    figure = plotting.draw_grid(rows, [""], [name, "Wearing Hat"])
    expected = ["the width", "of the left", "lung in the", "scan of the", "chest"]
    assert texts(figure) == ["\n".join(expected), "Wearing Hat"]
    (long,) = {text for text in texts(plotting.draw_grid(rows, [""], ["w" * 300] * 2))}
    assert long == "\n".join(["w" * 11] * 4 + ["…", "w" * 3])
