"""The texts and colors of charts."""

from dataclasses import replace

import numpy as np
import pytest

from ccvae_pyro import plotting
from ccvae_pyro.evaluation import BinaryMetrics, categorical_metrics
from ccvae_pyro.labels import Categorical

NAMES = ("Bald", "Big_Beard", "Wearing_Hat")
HAIR = Categorical("hair", ("black", "dark_red", "white"))


def test_history_draws_each_epoch(texts):
    names = ("loss", "accuracy", "balanced_accuracy", "majority_accuracy", "reconstruction_error")
    history = [{"epoch": e} | {name: 1 / e for name in names} for e in (1, 2, 3)]
    figure = plotting.plot_history(history)
    assert list(figure.axes[0].lines[0].get_ydata()) == [1, 1 / 2, 1 / 3]
    assert "training loss (nats per image)" in texts(figure)


def test_confusion_has_a_row_for_each_label(texts):
    metrics = BinaryMetrics(*[np.nan] * 9)
    metrics = replace(metrics, sensitivity=0.75, specificity=0.9, prevalence=0.2)
    per_label = {"Bald": metrics, "Big_Beard": replace(metrics, prevalence=0.4)}
    figure = plotting.plot_confusion(per_label)
    assert np.allclose(figure.axes[0].images[0].get_array(), [[0.1, 0.75]] * 2)
    assert {"Bald (20%)", "Big Beard (40%)", "75.0%", "10.0%"} < set(texts(figure))
    assert "label (prevalence)" in texts(figure)


def test_a_confusion_without_binary_labels_is_an_error():
    metrics = categorical_metrics(np.array([], dtype=int), np.zeros((0, 3)))
    with pytest.raises(ValueError, match="no label is binary, got hair"):
        plotting.plot_confusion({"hair": metrics})


def test_class_confusion_has_a_row_for_each_true_class(texts):
    figure = plotting.plot_class_confusion(HAIR, [[8, 2, 0], [0, 5, 0], [0, 0, 0]])
    assert np.allclose(figure.axes[0].images[0].get_array()[0], [0.8, 0.2, 0])
    assert {"black (10)", "dark red (5)", "white (0)", "80%", "100%"} < set(texts(figure))


def test_class_confusion_names_its_axes(texts):
    figure = plotting.plot_class_confusion(HAIR, np.eye(3, dtype=int).tolist())
    assert {"true class (number of images)", "predicted hair"} < set(texts(figure))


def test_changes_are_annotated_unless_they_round_to_zero(texts):
    figure = plotting.plot_change(NAMES, np.diag([0.9, 0.8, 0.7]) + 0.001)
    assert {"Big Beard", "90%", "80%", "70%"} < set(texts(figure))
    assert "0%" not in texts(figure)


def test_heat_maps_show_the_first_of_many_and_say_so(texts):
    classes = tuple(f"class_{i}" for i in range(149))
    confusion = np.full((149, 149), 1)
    figure = plotting.plot_class_confusion(Categorical("kind", classes), confusion.tolist())
    assert figure.axes[0].images[0].get_array().shape == (40, 40)
    assert np.allclose(figure.axes[0].images[0].get_array(), 1 / 149)  # of all classes
    assert figure.get_supxlabel() == "the first 40 of 149 classes"
    assert {"class 39 (149)", "class 39"} < set(texts(figure))
    figure = plotting.plot_change(classes, np.eye(149))
    assert figure.axes[0].images[0].get_array().shape == (40, 40)
    assert figure.get_supxlabel() == "the first 40 of 149 labels"
    per_label = dict.fromkeys(classes, BinaryMetrics(*[0.5] * 9))
    figure = plotting.plot_confusion(per_label)
    assert figure.axes[0].images[0].get_array().shape == (40, 2)
    assert figure.get_supxlabel() == "the first 40 of 149 binary labels"
    assert max(figure.get_size_inches()) < 20
