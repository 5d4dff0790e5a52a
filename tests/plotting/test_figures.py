"""Figures: what they say, not how they look; that was looked at."""

import numpy as np
import pytest
import torch

import ccvae_pyro
from ccvae_pyro import plotting
from ccvae_pyro.labels import Binary, Categorical, Continuous, binaries
from ccvae_pyro.models import baselines
from ccvae_pyro.plotting import grid
from ccvae_pyro.plotting.graphs import dependencies

NAMES = ("Bald", "Big_Beard", "Wearing_Hat")


@pytest.fixture
def faces():
    ccvae = ccvae_pyro.celeba(num_labels=3, z_dim=5, label_names=NAMES)
    return ccvae, torch.rand(4, 3, 64, 64)


def texts(figure):
    """All that is written in a figure."""
    figure.canvas.draw()
    found = []
    for axes in figure.axes:
        found += [axes.get_title(), axes.get_ylabel(), *(t.get_text() for t in axes.texts)]
        found += [t.get_text() for t in (*axes.get_yticklabels(), *axes.get_xticklabels())]
    return [text for text in found if text]


def image(figure, row, column, size=64):
    """One of the images that a figure is made of."""
    start = np.array([row, column]) * (size + grid.GAP)
    canvas = figure.axes[0].images[0].get_array()
    return canvas[start[0] : start[0] + size, start[1] : start[1] + size]


def shape(figure, size=64):
    """How many rows and columns of images a figure has."""
    canvas = figure.axes[0].images[0].get_array()
    return tuple(n // (size + grid.GAP) for n in canvas.shape[:2])


def test_history_draws_each_epoch():
    names = ("loss", "accuracy", "balanced_accuracy", "majority_accuracy", "reconstruction_error")
    history = [{"epoch": e} | {name: 1 / e for name in names} for e in (1, 2, 3)]
    figure = plotting.plot_history(history)
    assert list(figure.axes[0].lines[0].get_ydata()) == [1, 1 / 2, 1 / 3]
    assert "training loss (nats per image)" in texts(figure)


def test_confusion_has_a_row_for_each_label():
    label = {"sensitivity": 0.75, "specificity": 0.9, "frequency": 0.2}
    figure = plotting.plot_confusion({"Bald": label, "Big_Beard": label | {"frequency": 0.4}})
    assert np.allclose(figure.axes[0].images[0].get_array(), [[0.1, 0.75]] * 2)
    assert {"Bald (20%)", "Big Beard (40%)", "75.0%", "10.0%"} < set(texts(figure))


def test_reconstructions_have_a_row_for_each_epoch(faces):
    _, x = faces
    rows = {1: torch.zeros(4, 3, 64, 64, dtype=torch.uint8), 8: x}
    figure = plotting.plot_reconstructions(x, rows)
    assert texts(figure) == ["images", "epoch 1", "epoch 8"]
    assert shape(figure) == (3, 4)
    assert np.allclose(image(figure, 0, 2), x[2].permute(1, 2, 0))
    assert not image(figure, 1, 2).any()


def test_walk_has_a_row_for_each_label(faces):
    ccvae, x = faces
    figure = plotting.plot_walk(ccvae, x[0], NAMES, num_steps=4)
    assert texts(figure) == ["Bald", "Big Beard", "Wearing Hat", "without", "with"]
    expected = ccvae_pyro.walk(ccvae, x[:1], "Big_Beard", num_steps=4)[0, 2]
    assert np.allclose(image(figure, 1, 2), expected.permute(1, 2, 0))


def test_walk_2d_names_both_ways(faces):
    ccvae, x = faces
    figure = plotting.plot_walk_2d(ccvae, x[0], ("Bald", "Wearing_Hat"), num_steps=3)
    said = {"with Bald", "without Bald", "with\nWearing Hat", "without\nWearing Hat"}
    assert set(texts(figure)) == said
    assert shape(figure) == (3, 3)


def test_samples_say_what_was_ordered(faces):
    ccvae, _ = faces
    orders = torch.tensor([[0.0, 1, 1], [0, 0, 0]])
    figure = plotting.plot_samples(ccvae, orders, num_samples=2)
    assert texts(figure) == ["Big Beard\nWearing Hat", "none"]
    assert shape(figure) == (2, 2)


def test_edits_turn_labels_over_and_say_which_way(faces):
    ccvae, x = faces
    ccvae.classifier.weight.data.zero_()
    ccvae.classifier.bias.data = torch.tensor([9.0, -9.0, -9.0])
    figure = plotting.plot_edits(ccvae, x[:1], NAMES)
    assert [t for t in texts(figure) if t in "+\N{MINUS SIGN}"] == ["\N{MINUS SIGN}", "+", "+"]
    assert np.allclose(image(figure, 0, 0), x[0].permute(1, 2, 0))
    removed = ccvae_pyro.edit(ccvae, x[:1], "Bald", 0, num_std=2)[0]
    assert np.allclose(image(figure, 0, 2), removed.permute(1, 2, 0))


HAIR = Categorical("hair", ("black", "dark_red", "white"))


@pytest.fixture
def mixed():
    labels = (HAIR, Binary("Hat"), Continuous("Age", 30.0, 10.0))
    return ccvae_pyro.celeba(z_dim=6, labels=labels), torch.rand(3, 3, 64, 64)


def test_confusion_of_classes_has_a_row_for_what_images_are_of():
    figure = plotting.plot_class_confusion(HAIR, [[8, 2, 0], [0, 5, 0], [0, 0, 0]])
    assert np.allclose(figure.axes[0].images[0].get_array()[0], [0.8, 0.2, 0])
    assert {"black (10)", "dark red (5)", "white (0)", "80%", "100%"} < set(texts(figure))


def test_a_confusion_without_binary_labels_is_told():
    with pytest.raises(ValueError, match="no label is binary, got hair"):
        plotting.plot_confusion({"hair": {"accuracy": 0.5, "confusion": []}})


def test_walks_say_where_they_lead(mixed):
    ccvae, x = mixed
    figure = plotting.plot_walk(ccvae, x[0], ("hair", "Hat", "Age"), num_steps=3)
    assert texts(figure) == ["hair\nblack to white", "Hat\nwithout to with", "Age\n10 to 50"]
    figure = plotting.plot_walk_2d(ccvae, x[0], ("hair", "Age"), num_steps=3)
    assert set(texts(figure)) == {"black", "white", "Age 10", "Age 50"}


def test_a_walk_leads_to_each_class(mixed):
    ccvae, x = mixed
    figure = plotting.plot_class_walk(ccvae, x[0], "hair", num_steps=4)
    assert shape(figure) == (3, 5)
    assert {"black", "dark red", "white"} < set(texts(figure))
    red = ccvae_pyro.edit(ccvae, x[:1], "hair", "dark_red")[0]
    assert np.allclose(image(figure, 1, 4), red.permute(1, 2, 0), atol=1e-6)
    reconstruction = ccvae_pyro.reconstruct(ccvae, x[:1])[0]
    assert np.allclose(image(figure, 2, 1), reconstruction.permute(1, 2, 0), atol=1e-6)


def test_orders_and_edits_of_every_kind_are_in_words(mixed):
    ccvae, x = mixed
    orders = torch.tensor([[1.0, 1, 42], [2, 0, 17]])
    figure = plotting.plot_samples(ccvae, orders, num_samples=2)
    assert texts(figure) == ["dark red\nHat\nAge 42", "white\nAge 17"]
    figure = plotting.plot_edits(ccvae, x, ("hair", "Hat", "Age"))
    assert {"black", "dark\nred", "white", "Hat", "Age\n10", "Age\n50"} < set(texts(figure))
    assert shape(figure) == (3, 8)


GRAPHS = {
    "vae": ({"z": set(), "x": {"z"}}, {"z": {"x"}}),
    "m2": ({"y": set(), "z": set(), "x": {"y", "z"}}, {"y": {"x"}, "z": {"x", "y"}}),
    "m1_m2": (
        {"y": set(), "z_2": set(), "z_1": {"y", "z_2"}, "x": {"z_1"}},
        {"z_1": {"x"}, "y": {"z_1"}, "z_2": {"z_1", "y"}},
    ),
    "diva": (
        {"y": set(), "z_c": {"y"}, "z_style": set(), "x": {"z_c", "z_style"}},
        {"z_c": {"x"}, "y": {"z_c"}, "z_style": {"x"}},
    ),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_are_read_off_the_code(name):
    torch.set_default_dtype(torch.float32)
    model = baselines.baseline(name, binaries(("Hat", "Beard")), 5, images="mlp")
    x = torch.rand(2, 1, 28, 28)
    functions = (model.model, model.guide)
    assert tuple(dependencies(function, x=x) for function in functions) == GRAPHS[name]
    figure = plotting.plot_graphs({name: (model, {"x": x})})
    num_arrows = sum(len(of) for graph in GRAPHS[name] for of in graph.values())
    drawn = [
        text for axis in figure.axes for text in axis.texts if getattr(text, "arrow_patch", None)
    ]
    assert len(drawn) == num_arrows


def test_swaps_have_a_row_for_each_image_and_a_column_for_each_donor(faces):
    ccvae, x = faces
    figure = plotting.plot_swaps(ccvae, x[:2], x[1:], "Big_Beard")
    assert shape(figure) == (3, 4)
    donor, changed = x[2], ccvae_pyro.swap(ccvae, x[1:2], x[2:3], "Big_Beard")[0]
    for place, shown in {(0, 2): donor, (2, 0): x[1], (2, 2): changed}.items():
        assert np.allclose(image(figure, *place), shown.permute(1, 2, 0), atol=1e-6)
    assert "Big Beard\nfrom:" in texts(figure)
    assert "all labels\nfrom:" in texts(plotting.plot_swaps(ccvae, x[:2], x[1:]))


def test_interpolations_start_and_end_at_the_images(faces):
    ccvae, x = faces
    figure = plotting.plot_interpolations(ccvae, x[:2], x[2:], num_steps=5)
    assert shape(figure) == (2, 7)
    ends = {(1, 0): x[1], (1, 6): x[3], (1, 5): ccvae_pyro.reconstruct(ccvae, x[3:])[0]}
    for place, shown in ends.items():
        assert np.allclose(image(figure, *place), shown.permute(1, 2, 0), atol=1e-6)


def test_variations_show_where_they_differ(faces):
    ccvae, x = faces
    figure = plotting.plot_variations(ccvae, x[0], ["Bald", "Wearing_Hat"], num_draws=4)
    assert shape(figure) == (2, 6)
    maps = np.stack([image(figure, row, 5) for row in (0, 1)])
    assert maps.max() == 1
    assert maps.min() >= 0
    assert {"Bald", "Wearing Hat"} <= set(texts(figure))


def test_changes_are_written_label_by_label():
    figure = plotting.plot_change(NAMES, np.diag([0.9, 0.8, 0.7]) + 0.001)
    assert {"Big Beard", "90%", "80%", "70%"} < set(texts(figure))
    assert "0%" not in texts(figure)
