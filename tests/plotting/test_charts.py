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


def test_of_many_classes_those_that_are_confused_are_shown(texts):
    classes = tuple(f"class_{i}" for i in range(400))
    confusion = np.diag(np.full(400, 9))
    confusion[300, 350] = 6
    confusion[20, 390] = 1
    figure = plotting.plot_class_confusion(Categorical("kind", classes), confusion.tolist())
    assert figure.get_supxlabel() == "the 40 of 400 classes with the most mistakes"
    shown = [text for text in texts(figure) if text.endswith(")") and text.startswith("class ")]
    assert {"class 20 (10)", "class 300 (15)", "class 350 (9)", "class 390 (9)"} < set(shown)
    shares, row = figure.axes[0].images[0].get_array(), shown.index("class 300 (15)")
    assert shares[row, shown.index("class 350 (9)")] == pytest.approx(6 / 15)
    assert shares[row, row] == pytest.approx(9 / 15)


LONG = tuple(f"Bartholomew_Featherstonehaugh_{i}" for i in range(40))


def test_names_of_classes_are_within_the_figure():
    for classes in (LONG, LONG[:3], tuple("ABC")):
        figure = plotting.plot_class_confusion(
            Categorical("person", classes), np.eye(len(classes), dtype=int).tolist()
        )
        figure.draw_without_rendering()
        (axes,) = figure.axes
        for text in (*axes.get_xticklabels(), *axes.get_yticklabels(), axes.yaxis.label):
            box = text.get_window_extent()
            assert min(box.x0, box.y0) >= 0
            assert box.x1 <= figure.bbox.x1
            assert box.y1 <= figure.bbox.y1


def test_history_has_r_squared_of_continuous_labels(texts):
    nan = float("nan")
    unknown = dict.fromkeys(("accuracy", "balanced_accuracy", "majority_accuracy"), nan)
    history = [{"epoch": e, "loss": 1 / e, "r_squared": 1 - 9 / e} | unknown for e in (1, 2, 9)]
    figure = plotting.plot_history(history)
    (line,) = figure.axes[1].lines
    assert list(line.get_ydata()) == [-8, -3.5, 0]
    assert figure.axes[1].get_ylim()[0] == -0.2
    assert "not measured" in texts(figure)  # the reconstruction error


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
    shares = figure.axes[0].images[0].get_array()
    assert shares.shape == (40, 41)
    assert np.allclose(shares[:, :40], 1 / 149)  # of all classes
    assert np.allclose(shares[:, 40], 109 / 149)
    assert {"class 39 (149)", "class 39", "other classes"} < set(texts(figure))
    figure = plotting.plot_change(classes, np.eye(149))
    assert figure.axes[0].images[0].get_array().shape == (40, 40)
    assert figure.get_supxlabel() == "the first 40 of 149 labels"
    per_label = dict.fromkeys(classes, BinaryMetrics(*[0.5] * 9))
    figure = plotting.plot_confusion(per_label)
    assert figure.axes[0].images[0].get_array().shape == (40, 2)
    assert figure.get_supxlabel() == "the first 40 of 149 binary labels"
    assert max(figure.get_size_inches()) < 20
