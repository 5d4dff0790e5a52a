"""Checkpoints: what is saved is loaded, files of earlier versions included."""

import pytest
import torch
from helpers import assert_same_states

import ccvae_pyro
from ccvae_pyro import Binary, Categorical, CheckpointError, Continuous
from ccvae_pyro.data import Preprocessing, files
from ccvae_pyro.io import migrate_config

NAMES = ("Bald", "Beard", "Wearing_Hat")


@pytest.fixture
def mnist():
    torch.set_default_dtype(torch.float32)
    return ccvae_pyro.mnist(num_labels=3, z_dim=5, label_names=NAMES)


def test_a_model_is_loaded_as_it_was_saved(mnist, tmp_path):
    ccvae_pyro.save(tmp_path / "a.pt", mnist)
    loaded = ccvae_pyro.load(tmp_path / "a.pt")
    assert_same_states(loaded.state_dict(), mnist.state_dict())
    assert loaded.label_names == NAMES
    x = torch.rand(2, 1, 28, 28)
    assert torch.equal(ccvae_pyro.classify(loaded, x), ccvae_pyro.classify(mnist, x))


def test_how_images_are_prepared_is_kept(mnist, tmp_path):
    ccvae_pyro.save(tmp_path / "a.pt", mnist)
    assert ccvae_pyro.load(tmp_path / "a.pt").preprocessing is None
    mnist.preprocessing = Preprocessing(28, 1, "pad", crop=40, white=4095)
    ccvae_pyro.save(tmp_path / "a.pt", mnist)
    assert ccvae_pyro.load(tmp_path / "a.pt").preprocessing == mnist.preprocessing
    ccvae_pyro.save(tmp_path / "a.pt", mnist, preprocessing={"size": 28, "resize": "stretch"})
    with pytest.raises(CheckpointError, match=r"a\.pt has a preprocessing .*stretch"):
        ccvae_pyro.load(tmp_path / "a.pt")


def test_a_model_without_a_preset_is_loaded_into_another_of_its_kind(ccvae, tmp_path):
    ccvae_pyro.save(tmp_path / "a.pt", ccvae)
    with pytest.raises(CheckpointError, match="pass the model"):
        ccvae_pyro.load(tmp_path / "a.pt")
    before = {name: value.clone() for name, value in ccvae.state_dict().items()}
    for parameter in ccvae.parameters():
        parameter.data.zero_()
    assert_same_states(ccvae_pyro.load(tmp_path / "a.pt", ccvae).state_dict(), before)


def test_a_checkpoint_of_another_shape_is_refused(mnist, tmp_path):
    ccvae_pyro.save(tmp_path / "a.pt", mnist)
    other = ccvae_pyro.mnist(num_labels=3, z_dim=7)
    with pytest.raises(CheckpointError, match=r"belongs to another model: size mismatch"):
        ccvae_pyro.load(tmp_path / "a.pt", other)


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_a_truncated_checkpoint_is_refused(mnist, tmp_path, size):
    path = tmp_path / "a.pt"
    ccvae_pyro.save(path, mnist)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CheckpointError, match=r"cannot be read: truncated, or no checkpoint"):
        ccvae_pyro.load(path)


def test_another_file_is_no_checkpoint(tmp_path):
    torch.save([1, 2], tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="is not a checkpoint of a model"):
        ccvae_pyro.load(tmp_path / "a.pt")
    with pytest.raises(FileNotFoundError, match="there is no checkpoint at"):
        ccvae_pyro.load(tmp_path / "b.pt")


def test_a_file_is_written_atomically(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    with files.atomic_write(path) as part:
        part.write_text("first")
    with pytest.raises(RuntimeError), files.atomic_write(path) as part:  # noqa: PT012
        part.write_text("sec")
        raise RuntimeError
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]


FORMER_FIELDS = {"prevalence": "frequency", "class_frequencies": "frequencies", "std": "deviation"}
FORMER_BUFFERS = {"std": "deviation", "class_frequencies": "frequencies", "signs": "paths"}


def test_a_checkpoint_of_an_earlier_version_is_loaded(tmp_path):
    labels = [
        Binary("Hat", 0.2),
        Categorical("Hair", ("red", "gray", "black"), (0.2, 0.3, 0.5)),
        Continuous("Age", 40.0, 12.0),
    ]
    model = ccvae_pyro.mnist(labels=labels, z_dim=9)
    described = [
        {FORMER_FIELDS.get(field, field): value for field, value in label.items()}
        for label in model.config["labels"]
    ]
    state = {}
    for name, value in model.state_dict().items():
        module, _, last = name.rpartition(".")
        state[f"{module}.{FORMER_BUFFERS.get(last, last)}"] = value
    assert state.keys() != model.state_dict().keys()
    contents = {"recipe": model.config | {"labels": described}, "model": state}
    torch.save(contents, tmp_path / "a.pt")
    loaded = ccvae_pyro.load(tmp_path / "a.pt")
    assert loaded.labels == model.labels
    assert_same_states(loaded.state_dict(), model.state_dict())


def test_the_options_of_an_earlier_version_have_their_present_names():
    earlier = {"objective": "unstopped", "cool_down": 0.5, "last_weight": None}
    earlier |= {"order_weight": 20.0, "seed": 3}
    present = {"objective": "paper-true-gradient", "decay_fraction": 0.5, "final_weight": None}
    present |= {"consistency_weight": 20.0, "seed": 3}
    assert migrate_config(earlier) == migrate_config(present) == present
