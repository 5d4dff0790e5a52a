"""The best model of a run, evaluations every few epochs, and runs that end early."""

import math
import sys

import pytest
from helpers import assert_same_states
from small_runs import SPLITS, interrupt_after, make_data, parameters, press_ctrl_c, start

import ccvae_pyro
from ccvae_pyro.errors import RunError
from ccvae_pyro.evaluation import Evaluation
from ccvae_pyro.io import checkpoint
from ccvae_pyro.training import Score
from ccvae_pyro.training.best import best_of, last_epoch

TRAIN = sys.modules["ccvae_pyro.training.train"]


def with_scores(monkeypatch, scores):
    """Training whose evaluations have these scores, one after the other."""
    remaining = iter(scores)
    monkeypatch.setattr(Score, "__call__", lambda self, evaluation: next(remaining))


def evaluation(balanced_accuracy, r_squared, reconstruction_error):
    values = dict.fromkeys(Evaluation.__dataclass_fields__, math.nan)
    values |= {"balanced_accuracy": balanced_accuracy, "r_squared": r_squared}
    return Evaluation(**values | {"reconstruction_error": reconstruction_error})


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ((1.0, math.nan, 0.0), 1.0),
        ((0.5, math.nan, 0.5), 0.25),  # as bad as the mean image, which is grey
        ((0.8, 0.6, 0.1), (0.7 + 0.8) / 2),
        ((0.8, -3.0, 0.1), (0.4 + 0.8) / 2),
        ((math.nan, math.nan, 0.1), 0.8),
        ((0.8, math.nan, math.nan), 0.8),
        ((math.nan, math.nan, math.nan), math.nan),
    ],
)
def test_the_score_is_of_labels_and_of_images_beside_the_mean_image(metrics, expected):
    data = make_data()
    data.images[:] = 0
    data.images[SPLITS["train"][::2]] = 255
    data.images[SPLITS["valid"][::2]] = 255
    assert Score(data)(evaluation(*metrics)) == pytest.approx(expected, nan_ok=True)


def test_equal_images_have_a_score():
    data = make_data()
    data.images[:] = 7
    assert Score(data)(evaluation(0.5, math.nan, 0.0)) == pytest.approx(0.75)


def history(*scores):
    return [{"epoch": 2 * i, "score": score} for i, score in enumerate(scores, 1)]


def test_the_first_of_the_best_is_the_best():
    assert best_of(history(0.1, math.nan, 0.7, 0.7, 0.2))["epoch"] == 6
    assert best_of([{"epoch": 1, "loss": 3.0}]) is None
    assert best_of(history(math.nan)) is None


@pytest.mark.parametrize(
    ("scores", "patience", "decay", "expected"),
    [
        ((0.1, 0.2, 0.3, 0.2), 2, 0.0, 20),
        ((0.1, 0.3, 0.3, 0.2), 2, 0.0, 8),  # not better at epochs 6 and 8
        ((0.1, 0.3, 0.3, 0.2), 2, 0.5, 16),  # the second half has the decay
        ((0.1, 0.3, 0.3, 0.2), 2, 0.25, 11),
        ((0.1, 0.3, 0.3, 0.2), 2, 1.0, 20),
        ((0.1, 0.3, 0.3, 0.2, 0.9, 1.0), 2, 0.5, 16),  # what comes later does not matter
        ((0.1, 0.3, 0.3, 0.2), None, 0.5, 20),
        ((0.9, *[0.1] * 6), 6, 0.5, 20),  # never later than planned
        ((math.nan,) * 6, 2, 0.0, 20),
    ],
)
def test_a_run_ends_by_its_decay_once_it_does_not_improve(scores, patience, decay, expected):
    assert last_epoch(history(*scores), 20, patience, decay) == expected


def test_the_best_model_is_kept_beside_the_last(tmp_path, monkeypatch):
    with_scores(monkeypatch, [0.2, 0.6, 0.6, 0.4])
    result = ccvae_pyro.train(*start(make_data()), 4, tmp_path / "run", keep_best=True)
    ccvae_pyro.train(*start(make_data()), 2, tmp_path / "two")
    best = checkpoint.read(tmp_path / "run" / "best.pt")
    assert (best["epoch"], best["score"], result.best_epoch, result.num_epochs) == (2, 0.6, 2, 4)
    assert_same_states(best["model"], parameters(tmp_path / "two"))
    assert ccvae_pyro.load(tmp_path / "run" / "best.pt").label_names == make_data().label_names
    assert [record["score"] for record in result.history] == [0.2, 0.6, 0.6, 0.4]


def test_the_score_is_in_the_history_and_changes_no_parameter(tmp_path):
    result = ccvae_pyro.train(*start(make_data()), 2, tmp_path / "a", keep_best=True)
    plain = ccvae_pyro.train(*start(make_data()), 2, tmp_path / "b")
    assert all(0 < record["score"] < 1 for record in result.history)
    assert "score" not in plain.history[0]
    assert plain.best_epoch is None
    assert not (tmp_path / "b" / "best.pt").exists()
    assert_same_states(parameters(tmp_path / "a"), parameters(tmp_path / "b"))


@pytest.mark.parametrize("stopped", [3, 8, 9])
def test_a_resumed_run_keeps_its_best_score_and_its_end(tmp_path, monkeypatch, stopped):
    options = {"decay_fraction": 0.5, "keep_best": True, "patience": 1, "epochs_per_evaluation": 1}
    with_scores(monkeypatch, [0.9, 0.5] + [0.1] * 9)
    whole = ccvae_pyro.train(*start(make_data()), 9, tmp_path / "whole", **options)
    assert [record["epoch"] for record in whole.history] == [1, 2, 3, 4]  # two, and the decay
    with_scores(monkeypatch, [0.9, 0.5] + [0.1] * 9)
    ccvae, svi, batches = start(make_data())
    interrupt_after(svi, stopped, press_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        ccvae_pyro.train(ccvae, svi, batches, 9, tmp_path / "run", **options)
    num_evaluated = len(checkpoint.read(tmp_path / "run" / "checkpoint.pt")["history"])
    with_scores(monkeypatch, ([0.9, 0.5] + [0.1] * 9)[num_evaluated:])
    resumed = ccvae_pyro.train(*start(make_data()), 9, tmp_path / "run", resume=True, **options)
    assert [record["epoch"] for record in resumed.history] == [1, 2, 3, 4]
    assert_same_states(parameters(tmp_path / "run"), parameters(tmp_path / "whole"))
    states = [checkpoint.read(tmp_path / name / "best.pt")["model"] for name in ("run", "whole")]
    assert_same_states(*states)
    assert checkpoint.read(tmp_path / "run" / "best.pt")["epoch"] == 1


def test_a_run_ends_at_once_without_decay(tmp_path, monkeypatch, capsys):
    with_scores(monkeypatch, [0.5, 0.4, 0.3])
    result = ccvae_pyro.train(*start(make_data()), 9, tmp_path, patience=2)
    assert (result.num_epochs, result.best_epoch) == (3, 1)
    assert 3 in result.reconstructions  # of the last epoch, as of any run
    assert "the score no longer improves: the run ends with epoch 3" in capsys.readouterr().out
    assert not (tmp_path / "best.pt").exists()


def test_an_old_run_is_resumed_and_has_a_best_model_from_then_on(tmp_path):
    ccvae_pyro.train(*start(make_data()), 1, tmp_path)
    result = ccvae_pyro.train(*start(make_data()), 2, tmp_path, resume=True, keep_best=True)
    assert result.best_epoch == checkpoint.read(tmp_path / "best.pt")["epoch"] == 2


def test_weights_that_diverge_leave_the_best_model(tmp_path):
    ccvae, svi, batches = start(make_data())
    interrupt_after(svi, 6, lambda loss: float("nan"))
    with pytest.raises(FloatingPointError, match="nan in epoch 2, batch 2"):
        ccvae_pyro.train(ccvae, svi, batches, 3, tmp_path, keep_best=True)
    best = checkpoint.read(tmp_path / "best.pt")
    assert best["epoch"] == 1
    assert all(bool(tensor.isfinite().all()) for tensor in best["model"].values())


def test_a_best_model_is_a_part_of_its_run(tmp_path):
    ccvae_pyro.train(*start(make_data()), 1, tmp_path, keep_best=True)
    ccvae_pyro.train(*start(make_data()), 1, tmp_path, overwrite=True)
    assert not (tmp_path / "best.pt").exists()
    for name in ("checkpoint.pt", "history.csv"):
        (tmp_path / name).rename(tmp_path / f"{name}.moved")
    (tmp_path / "checkpoint.pt.moved").rename(tmp_path / "best.pt")
    with pytest.raises(RunError, match="the best model of a run without its checkpoint"):
        ccvae_pyro.train(*start(make_data()), 1, tmp_path, resume=True)


def test_without_validation_images_there_is_no_best_model(tmp_path):
    data = make_data(splits={"train": SPLITS["train"], "test": SPLITS["test"]})
    result = ccvae_pyro.train(*start(data), 1, tmp_path / "a", keep_best=True)
    assert result.best_epoch is None
    assert not (tmp_path / "a" / "best.pt").exists()
    with pytest.raises(ValueError, match="patience needs validation images, got none"):
        ccvae_pyro.train(*start(data), 1, tmp_path / "b", patience=3)
    assert not (tmp_path / "b").exists()


# Evaluations every few epochs


def test_evaluations_come_every_few_epochs_and_at_the_end(tmp_path, monkeypatch):
    saved, save = [], TRAIN.save_run

    def noted(path, model, svi, state, about):
        saved.append((state.epoch, state.step))
        save(path, model, svi, state, about)

    monkeypatch.setattr(TRAIN, "save_run", noted)
    ccvae, svi, batches = start(make_data())
    result = ccvae_pyro.train(ccvae, svi, batches, 5, tmp_path / "a", epochs_per_evaluation=2)
    assert [record["epoch"] for record in result.history] == [2, 4, 5]
    assert list(result.reconstructions) == [2, 4, 5]
    assert saved == [(1, 4), (2, 0), (3, 4), (4, 0), (4, 4), (5, 0)]  # before and after each
    each = ccvae_pyro.train(*start(make_data()), 5, tmp_path / "b")
    assert [r["loss"] for r in result.history] == [each.history[i]["loss"] for i in (1, 3, 4)]
    assert_same_states(parameters(tmp_path / "a"), parameters(tmp_path / "b"))


@pytest.mark.parametrize("num_steps", [4, 6, 8, 13])
def test_a_run_stopped_between_evaluations_is_resumed_to_the_same_end(tmp_path, num_steps):
    options = {"decay_fraction": 0.5, "epochs_per_evaluation": 3}
    ccvae_pyro.train(*start(make_data()), 4, tmp_path / "undisturbed", **options)
    ccvae, svi, batches = start(make_data())
    interrupt_after(svi, num_steps, press_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        ccvae_pyro.train(ccvae, svi, batches, 4, tmp_path / "run", **options)
    ccvae_pyro.train(*start(make_data()), 4, tmp_path / "run", resume=True, **options)
    assert_same_states(parameters(tmp_path / "run"), parameters(tmp_path / "undisturbed"))
    losses = [
        [
            (record["epoch"], record["loss"])
            for record in checkpoint.read(tmp_path / name / "checkpoint.pt")["history"]
        ]
        for name in ("run", "undisturbed")
    ]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("name", ["epochs_per_evaluation", "patience"])
@pytest.mark.parametrize("value", [0, 1.5, "2"])
def test_counts_below_one_are_refused(tmp_path, name, value):
    with pytest.raises(ValueError, match=f"{name}.*whole number of at least 1, got {value!r}"):
        ccvae_pyro.train(*start(make_data()), 2, tmp_path / "run", **{name: value})
    assert not (tmp_path / "run").exists()


def test_images_flipped_at_random_are_resumed_bit_for_bit(tmp_path):
    def flipped(data):
        ccvae, svi, batches = start(data)
        batches.flip = True
        return ccvae, svi, batches

    ccvae_pyro.train(*flipped(make_data()), 2, tmp_path / "undisturbed")
    ccvae, svi, batches = flipped(make_data())
    interrupt_after(svi, 5, press_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        ccvae_pyro.train(ccvae, svi, batches, 2, tmp_path / "run")
    ccvae_pyro.train(*flipped(make_data()), 2, tmp_path / "run", resume=True)
    assert_same_states(parameters(tmp_path / "run"), parameters(tmp_path / "undisturbed"))
