"""Checkpoints: what is saved is loaded, files of earlier versions included."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import assert_same_states
from torch import nn

import ccvae_pyro
from ccvae_pyro import (
    Binary,
    Categorical,
    CheckpointError,
    Continuous,
    Ordinal,
    models,
    networks,
)
from ccvae_pyro.data import Preprocessing, files
from ccvae_pyro.io import checkpoint, migrate_config

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
    contents = ccvae_pyro.io.read(tmp_path / "a.pt")
    torch.save(contents | {"preprocessing": {"size": 28, "resize": "stretch"}}, tmp_path / "a.pt")
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


def test_scalars_of_numpy_are_saved_as_plain_values_and_arrays_as_tensors(tmp_path):
    labels = [Continuous("Age", np.float64(40), np.float32(9)), Binary("Hat", np.float64(0.3))]
    model = models.baseline(
        "vae", labels, np.int64(3), images="mlp", likelihood_scale=torch.tensor(0.5)
    )
    values = {
        "score": np.float64(0.5),
        "counts": np.arange(3),
        "of": {np.int64(2): [np.bool_(True)]},
    }
    ccvae_pyro.save(tmp_path / "a.pt", model, **values)
    contents = checkpoint.read(tmp_path / "a.pt")
    assert contents["score"] == 0.5
    assert contents["of"] == {2: [True]}
    assert torch.equal(contents["counts"], torch.arange(3))
    loaded = ccvae_pyro.load(tmp_path / "a.pt")
    assert loaded.labels == (Continuous("Age", 40.0, 9.0), Binary("Hat", 0.3))
    assert_same_states(loaded.state_dict(), model.state_dict())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: ccvae_pyro.mnist(z_dim=12.5),
            "z_dim must be .* of at least 1, got 12.5",
        ),
        (
            lambda: ccvae_pyro.mnist(z_dim="12"),
            "z_dim must be .* of at least 1, got '12'",
        ),
        (
            lambda: ccvae_pyro.mnist(num_labels=0),
            "num_labels must be .* of at least 1, got 0",
        ),
        (lambda: ccvae_pyro.mnist(convolutions="no"), "convolutions must be True or False"),
        (
            lambda: ccvae_pyro.celeba(channels=0),
            "channels must be .* of at least 1, got 0",
        ),
        (
            lambda: ccvae_pyro.celeba(likelihood_scale=0),
            "likelihood_scale must be positive and finite, got 0",
        ),
        (
            lambda: models.baseline("vae", [Binary("a")], 0),
            "z_dim must be .* of at least 1",
        ),
    ],
)
def test_an_argument_of_a_preset_that_no_model_can_have_is_an_error(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"run": {"where": [1, Path("a")]}}, r"run\.where\[1\] is a PosixPath|WindowsPath"),
        ({"best": nn.Linear(2, 2)}, "best is a Linear: a checkpoint holds tensors and plain"),
        ({"names": np.array([None])}, "names is a ndarray"),
        ({"rate": lambda epoch: 1}, "rate is a function"),
        ({"config": {}}, "the entry 'config' of a checkpoint is that of the model"),
    ],
)
def test_what_cannot_be_read_is_not_written(mnist, tmp_path, values, message):
    ccvae_pyro.save(tmp_path / "a.pt", mnist, epoch=1)
    with pytest.raises(ValueError, match=message):
        ccvae_pyro.save(tmp_path / "a.pt", mnist, **values)
    assert checkpoint.read(tmp_path / "a.pt")["epoch"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def test_a_file_that_was_damaged_while_written_replaces_none(mnist, tmp_path, monkeypatch):
    ccvae_pyro.save(tmp_path / "a.pt", mnist, epoch=1)
    write = torch.save

    def write_and_damage(contents, path):
        write(contents, path)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)

    monkeypatch.setattr(torch, "save", write_and_damage)
    with pytest.raises(OSError, match="is not written: it could not be read again"):
        ccvae_pyro.save(tmp_path / "a.pt", mnist, epoch=2)
    assert checkpoint.read(tmp_path / "a.pt")["epoch"] == 1


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_parameters_that_are_not_finite_are_neither_saved_nor_loaded(mnist, tmp_path, value):
    path, name = tmp_path / "a.pt", "decoder.features.0.weight"
    ccvae_pyro.save(path, mnist, epoch=1)
    before = copy.deepcopy(mnist.state_dict())
    mnist.get_parameter(name).data[3, 1] = value
    with pytest.raises(ValueError, match=f"not written: the parameter {name} is not finite"):
        ccvae_pyro.save(path, mnist, epoch=2)
    assert_same_states(checkpoint.read(path)["model"], before)

    torch.save({"config": mnist.config, "model": mnist.state_dict()}, path)
    other = ccvae_pyro.mnist(num_labels=3, z_dim=5, label_names=NAMES)
    initial = copy.deepcopy(other.state_dict())
    for model in (None, other):
        with pytest.raises(CheckpointError, match=f"the parameter {name} is not finite"):
            ccvae_pyro.load(path, model)
    assert_same_states(other.state_dict(), initial)


def test_an_infinite_buffer_is_kept(mnist, tmp_path):
    mnist.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
    ccvae_pyro.save(tmp_path / "a.pt", mnist)
    assert_same_states(ccvae_pyro.load(tmp_path / "a.pt", mnist).state_dict(), mnist.state_dict())


def test_a_model_is_left_as_it_was_by_a_checkpoint_of_another(mnist, tmp_path):
    ccvae_pyro.save(tmp_path / "a.pt", mnist)
    other = ccvae_pyro.mnist(num_labels=3, z_dim=7, label_names=NAMES)
    initial = copy.deepcopy(other.state_dict())
    with pytest.raises(CheckpointError, match="belongs to another model: size mismatch"):
        ccvae_pyro.load(tmp_path / "a.pt", other)
    assert_same_states(other.state_dict(), initial)


@pytest.mark.parametrize("version", ["present", "before labels were an entry"])
def test_a_model_with_other_labels_is_refused(mnist, tmp_path, version):
    ccvae_pyro.save(tmp_path / "a.pt", mnist)
    if version != "present":
        contents = checkpoint.read(tmp_path / "a.pt")
        del contents["labels"]
        torch.save(contents, tmp_path / "a.pt")
    other = ccvae_pyro.mnist(num_labels=3, z_dim=5, label_names=NAMES[::-1])
    with pytest.raises(CheckpointError, match="its label 0 is 'Bald', the model's 'Wearing_Hat'"):
        ccvae_pyro.load(tmp_path / "a.pt", other)


def test_a_model_with_other_classes_is_refused(tmp_path):
    labels = [Categorical("Hair", classes) for classes in (("red", "gray"), ("gray", "red"))]
    one, other = (models.baseline("vae", [label], 3, images="mlp") for label in labels)
    ccvae_pyro.save(tmp_path / "a.pt", one)
    with pytest.raises(CheckpointError, match="classes of its label 'Hair' are red, gray, the"):
        ccvae_pyro.load(tmp_path / "a.pt", other)


def replace_activation(model):
    model.encoder.features[1] = nn.Tanh()


def change_beta(model):
    model.beta = 4.0


def replace_method(model):
    model.decoder.features.forward = lambda z: z


def add_hook(model):
    model.encoder.register_forward_hook(lambda module, args, output: output)


def add_buffer(model):
    model.register_buffer("mask", torch.ones(2))


def rename_label(model):
    model.labels = (Binary("Cap"),)


def parametrize(model):
    nn.utils.parametrizations.weight_norm(model.encoder.features[1])


def change_config(model):
    model.config["z_dim"] = 5


def change_slope(model):
    model.encoder.features[2].inplace = False


CHANGES = (
    replace_activation, change_beta, replace_method, add_hook, add_buffer, rename_label,
    parametrize, change_config, change_slope,
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_model_is_not_built_from_its_config(tmp_path, change):
    def new_model():
        return models.baseline("diva", [Binary("Hat")], 3, images="mlp")

    model, again = new_model(), new_model()
    for each in (model, again):
        change(each)
    ccvae_pyro.save(tmp_path / "a.pt", model)
    with pytest.raises(CheckpointError, match="pass the model as `model`"):
        ccvae_pyro.load(tmp_path / "a.pt")
    loaded = ccvae_pyro.load(tmp_path / "a.pt", again)
    assert_same_states(loaded.state_dict(), model.state_dict())


def set_precision(model):
    networks.set_precision(model, torch.bfloat16)


UNCHANGED = {
    "precision": set_precision,
    "compiled": networks.compile_networks,
    "evaluation": nn.Module.eval,
    "frozen": lambda model: model.requires_grad_(False),
    "half": nn.Module.half,
    "backward hook": lambda model: model.register_full_backward_hook(lambda *args: None),
    "copied": lambda model: copy.deepcopy(model),
}


@pytest.mark.parametrize("name", ["celeba", "mnist", *models.BASELINES])
def test_each_preset_is_built_from_its_config(name, tmp_path):
    torch.set_default_dtype(torch.float32)
    labels = [Binary("Hat", 0.2, 1), Categorical("Hair", ("a", "b", "c")), Continuous("Age")]
    labels += [Ordinal("Stars", ("1", "2")), Continuous("Share", 0.5, maximum=1)]
    presets = {"celeba": ccvae_pyro.celeba, "mnist": ccvae_pyro.mnist}
    if name in presets:
        model = presets[name](labels=labels, z_dim=11)
    else:
        model = models.baseline(name, labels, 9, images="mlp")
    ccvae_pyro.save(tmp_path / "a.pt", model)
    loaded = ccvae_pyro.load(tmp_path / "a.pt")
    assert repr(loaded) == repr(model)
    assert loaded.labels == model.labels
    assert_same_states(loaded.state_dict(), model.state_dict())


@pytest.mark.parametrize("change", UNCHANGED.values(), ids=UNCHANGED)
def test_what_does_not_change_the_model_keeps_its_config(mnist, tmp_path, change):
    result = change(mnist)
    ccvae_pyro.save(tmp_path / "a.pt", result if isinstance(result, nn.Module) else mnist)
    loaded = ccvae_pyro.load(tmp_path / "a.pt")
    assert loaded.label_names == NAMES


def test_saving_takes_no_random_numbers(mnist, tmp_path):
    before = torch.get_rng_state()
    ccvae_pyro.save(tmp_path / "a.pt", mnist)
    assert torch.equal(torch.get_rng_state(), before)
