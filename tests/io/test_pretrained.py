import json
from pathlib import Path

import pytest
import torch
from helpers import run_example

import ccvae_pyro
from ccvae_pyro.data import load_avatars
from ccvae_pyro.io import facts
from ccvae_pyro.io.pretrained import FOLDER


@pytest.fixture(scope="module")
def avatars(avatars_root):
    """The pretrained model, and images of the default seed, which it was not trained on."""
    torch.set_default_dtype(torch.float32)
    model = ccvae_pyro.load_pretrained("avatars")
    data = load_avatars(avatars_root, 240).select(model.label_names)
    return model, *data.batch(range(240))


def test_files_are_prepared_as_the_drawn_images(avatars, avatars_root):
    model = avatars[0]
    assert model.preprocessing == load_avatars(avatars_root, 240).preprocessing


def test_new_images_are_classified_and_reconstructed(avatars):
    model, x, y = avatars
    assert len(model.labels) == 18
    predicted, _ = ccvae_pyro.predict(model, x)
    assert (predicted == y).float().mean() > 0.99
    mean_image = (x - x.mean(0)).abs().mean()
    assert (ccvae_pyro.reconstruct(model, x) - x).abs().mean() < mean_image / 4


def test_edited_images_have_the_target_labels(avatars):
    model, x, _ = avatars
    for value in (0, 1):
        edited = [ccvae_pyro.edit(model, x, i, value) for i in range(18)]
        predicted = [ccvae_pyro.predict(model, e)[0][:, i] for i, e in enumerate(edited)]
        assert (torch.stack(predicted) == value).float().mean() > 0.9


def test_exclusive_labels_are_known(avatars):
    excludes = {label.name: label.excludes for label in avatars[0].labels}
    assert {"Black_Hair", "Bald", "Wearing_Hat"} <= set(excludes["Red_Hair"])
    assert excludes["Beard"] == ()


def test_facts_have_the_settings_and_the_metrics():
    known = facts("avatars")
    assert known["command"] == "python examples/pretrained.py"
    assert known["config"]["avatar_seed"] != 0
    assert known["metrics"]["edit_accuracy"] >= 0.85
    assert known["metrics"]["dominance"] >= 5
    assert (FOLDER / "avatars.pt").stat().st_size < 4e6


def test_an_unknown_name_is_an_error():
    with pytest.raises(ValueError, match="called 'faces': there are avatars"):
        ccvae_pyro.load_pretrained("faces")


def test_one_command_trains_and_packs_the_model(avatars_root, tmp_path):
    small = ["--num-images", 120, "--avatar-seed", 0, "--attributes", 3, "--epochs", 1]
    places = ["--root", avatars_root, "--out", tmp_path / "run", "--into", tmp_path / "weights"]
    result = run_example("pretrained.py", *places, *small)
    assert result.returncode == 0, result.stderr
    trained, packed = (
        ccvae_pyro.load(tmp_path / path)
        for path in (Path("run", "trained", "checkpoint.pt"), Path("weights", "avatars.pt"))
    )
    assert packed.labels == trained.labels
    for name, value in trained.state_dict().items():
        torch.testing.assert_close(packed.state_dict()[name], value, atol=1e-3, rtol=1e-3)
    known = json.loads((tmp_path / "weights" / "avatars.json").read_text())
    assert set(known) == {"command", "config", "metrics", "edit_accuracy", "change"}
    assert known["command"].endswith("--epochs 1")
