"""What a run is resumed from: its own checkpoint, complete, and its own data."""

from dataclasses import replace

import numpy as np
import pyro
import pytest
import torch
from helpers import assert_same_states
from small_runs import SPLITS, make_data, parameters, start

import ccvae_pyro
from ccvae_pyro.errors import CheckpointError
from ccvae_pyro.io import checkpoint
from ccvae_pyro.labels import Categorical


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    """The entries of the checkpoint of a run of one epoch."""
    out = tmp_path_factory.mktemp("run")
    with pyro.get_param_store().scope():
        ccvae_pyro.train(*start(make_data()), 1, out)
    return checkpoint.read(out / "checkpoint.pt")


def resume(data, path, contents):
    torch.save(contents, path / "checkpoint.pt")
    return ccvae_pyro.train(*start(data), 2, path, resume=True)


ENTRIES = ("optimizer", "rng", "epoch", "step", "loss", "seconds", "history", "reconstructions")
WRONG = {
    "optimizer": [None, [], {"ccvae$$$classifier.bias": 3}, {"ccvae$$$classifier.bias": {}}],
    "rng": [None, [], {}, [{"cpu": torch.zeros(3)}], [{"cuda": torch.zeros(3)}]],
    "epoch": [None, -1, 1.0, True, "1", torch.tensor(1)],
    "step": [None, -1, 0.5, "0"],
    "loss": [None, "0", [], torch.tensor(0.0)],
    "seconds": [None, "0"],
    "history": [None, {}, [None], [{"loss": 1.0}], [{"epoch": 1, "loss": "low"}]],
    "reconstructions": [None, [], {"1": torch.zeros(1)}, {1: None}],
}


@pytest.mark.parametrize("name", ENTRIES)
def test_a_missing_entry_is_named(contents, tmp_path, name):
    without = {key: value for key, value in contents.items() if key != name}
    with pytest.raises(CheckpointError, match=f"cannot be resumed: it has no '{name}'"):
        resume(make_data(), tmp_path, without)


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_a_mistyped_entry_is_named_and_nothing_is_changed(contents, tmp_path, name, value):
    torch.save(contents | {name: value}, tmp_path / "checkpoint.pt")
    ccvae, svi, batches = start(make_data(), seed=5)
    before = {key: tensor.clone() for key, tensor in ccvae.state_dict().items()}
    random_state = torch.get_rng_state()
    with pytest.raises(CheckpointError, match=rf"cannot be resumed: .*'{name}'") as raised:
        ccvae_pyro.train(ccvae, svi, batches, 2, tmp_path, resume=True)
    assert len(str(raised.value).splitlines()) == 1
    assert_same_states(ccvae.state_dict(), before)
    assert svi.optim.get_state() == svi.optim._state_waiting_to_be_consumed == {}
    assert torch.equal(torch.get_rng_state(), random_state)


def test_more_steps_than_an_epoch_has_are_refused(contents, tmp_path):
    with pytest.raises(CheckpointError, match="after 5 steps of an epoch, which now has 4"):
        resume(make_data(), tmp_path, contents | {"step": 5})


def with_labels(data, labels, label_types=None):
    return replace(data, labels=labels, label_types=label_types or data.label_types)


def renamed(data):
    first = replace(data.label_types[0], name="Hairless")
    return with_labels(data, data.labels, (first, *data.label_types[1:]))


def as_classes(data):
    first = Categorical("Bald", ("no", "yes"))
    return with_labels(data, data.labels, (first, *data.label_types[1:]))


def other_splits(data):
    return replace(data, splits=SPLITS | {"valid": SPLITS["test"], "test": SPLITS["valid"]})


OTHERS = {
    "order": (
        lambda d: d.select([1, 0, 2]),
        r"with 'Bald' \(binary\) as label 1, not 'Beard' \(binary\)",
    ),
    "name": (renamed, r"with 'Bald' \(binary\) as label 1, not 'Hairless' \(binary\)"),
    "kind": (
        as_classes,
        r"with 'Bald' \(binary\) as label 1, not 'Bald' \(categorical: no, yes\)",
    ),
    "number": (lambda d: d.select([0, 1]), "with 3 labels, not with 2"),
    "inverted": (lambda d: with_labels(d, 1 - d.labels), "on other values of the labels"),
    "images": (lambda d: replace(d, images=255 - d.images), "on other images"),
    "splits": (other_splits, "on other splits of the images"),
    "more": (
        lambda d: replace(
            d,
            images=np.concatenate([d.images, d.images]),
            labels=np.concatenate([d.labels, d.labels]),
        ),
        "on 60 images, not on 120",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_run_is_not_resumed_on_other_data(contents, tmp_path, name):
    change, message = OTHERS[name]
    with pytest.raises(CheckpointError, match=f"was trained {message}: resume it with its own"):
        resume(change(make_data()), tmp_path, contents)


def test_a_run_is_resumed_on_equal_data(contents, tmp_path, capsys):
    assert len(resume(make_data(), tmp_path, contents).history) == 2
    assert "not compared" not in capsys.readouterr().out


def test_a_checkpoint_that_does_not_tell_its_data_is_resumed_and_says_so(
    contents, tmp_path, capsys
):
    earlier = {
        k: v for k, v in contents.items() if k not in ("data", "settings", "optimizer_name")
    }
    resume(make_data(), tmp_path, earlier)
    out = capsys.readouterr().out
    assert "checkpoint.pt does not say what data it was trained on: it was not compared" in out
    assert checkpoint.read(tmp_path / "checkpoint.pt")["data"] == contents["data"]


def test_parameters_in_a_checkpoint_that_are_not_finite_are_one_line(contents, tmp_path):
    model = contents["model"] | {"classifier.bias": torch.full((3,), torch.nan)}
    torch.save(contents | {"model": model}, tmp_path / "checkpoint.pt")
    with pytest.raises((FloatingPointError, CheckpointError)) as raised:
        ccvae_pyro.train(*start(make_data()), 2, tmp_path, resume=True)
    assert len(str(raised.value).splitlines()) == 1
    assert parameters(tmp_path)["classifier.bias"].isnan().all()  # the file is left as it is


def test_settings_are_kept(tmp_path):
    settings = {"seed": 0, "attributes": ["Bald"]}
    ccvae_pyro.train(*start(make_data()), 1, tmp_path, settings=settings)
    assert checkpoint.read(tmp_path / "checkpoint.pt")["settings"] == settings
