"""Models of the authors' files: the same functions, read without running any code."""

import os
import pickle

import numpy as np
import pytest
import torch
from published_modules import (
    CELEBAEncoder,
    Classifier,
    CondPrior,
    Indep_Regressor,
    make_modules,
    replace,
    write,
)
from pyro.infer import SVI
from pyro.optim import Adam
from torch import nn
from torch.testing import assert_close

import ccvae_pyro
from ccvae_pyro import CheckpointError, ExactCCVAE_ELBO, load_published
from ccvae_pyro.data import PAPER_ATTRIBUTES, Preprocessing
from ccvae_pyro.io import export_onnx

VERSIONS = ("demo", "ccvae", "ccvae_pytorch")
FORMATS = {"legacy": False, "zip": True}
DEMO_FILES = ("encoder_z.pt", "decoder.pt", "regressor.pt")

pytestmark = pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")


@pytest.fixture(autouse=True)
def float32():
    torch.set_default_dtype(torch.float32)


@pytest.fixture(params=FORMATS)
def is_zip(request):
    return FORMATS[request.param]


@pytest.fixture(params=VERSIONS)
def version(request):
    return request.param


@pytest.fixture(scope="module")
def demo_files(tmp_path_factory):
    torch.set_default_dtype(torch.float32)
    return write(tmp_path_factory.mktemp("demo"), make_modules("demo"))


@pytest.fixture
def demo(demo_files, tmp_path):
    """A folder of links to the files of a model, which tests replace by others."""
    folder = tmp_path / "files"
    folder.mkdir()
    for path in demo_files.iterdir():
        (folder / path.name).hardlink_to(path)
    return folder


@torch.no_grad()
def test_encoder_and_decoder_are_those_of_the_files(version, is_zip, tmp_path):
    modules = make_modules(version)
    ccvae = load_published(write(tmp_path, modules, is_zip=is_zip))
    encoder = modules["encoder_z.pt" if version == "demo" else "encoder.pt"]
    x = torch.rand(4, 3, 64, 64)
    loc, scale = encoder(x)
    q_z_c, q_z_style = ccvae.encoder(x)
    ours = torch.cat([q_z_c.mean, q_z_style.mean], 1)
    assert_close(ours, loc, atol=1e-5, rtol=0)
    stds = torch.cat([q_z_c.variance, q_z_style.variance], 1).sqrt()
    assert_close(stds, scale, atol=1e-5, rtol=0)
    z = torch.randn(4, 45)
    assert_close(ccvae.decoder(z).mean, modules["decoder.pt"](z), atol=1e-5, rtol=0)
    assert ccvae.decoder.scale == 1


@torch.no_grad()
def test_priors_and_classifier_are_those_of_the_files(version, tmp_path):
    modules = make_modules(version)
    ccvae = load_published(write(tmp_path, modules))
    prior = modules["regressor.pt" if version == "demo" else "cond_prior.pt"]
    for y in (torch.zeros(18), torch.ones(18), torch.rand(18)):
        loc, scale = prior(y)
        p_z_c = ccvae.conditional_prior(y)
        assert_close(p_z_c.mean, loc)
        assert_close(p_z_c.variance.sqrt(), scale)
    if version != "demo":
        z_c = torch.randn(5, 18)
        (group,) = ccvae.classifier(z_c).groups
        assert_close(group.distribution.logits, modules["classifier.pt"](z_c))
        assert not ccvae.predicts_by_bayes_rule


@torch.no_grad()
def test_without_a_classifier_labels_are_predicted_by_bayes_rule(tmp_path):
    ccvae = load_published(write(tmp_path, make_modules("demo")))
    x = torch.rand(6, 3, 64, 64)
    bayes = ccvae_pyro.with_bayes_classifier(ccvae)
    assert_close(ccvae_pyro.classify(ccvae, x), ccvae_pyro.classify(bayes, x))
    # The affine classifier agrees with it at the prior means of each label.
    for y in (torch.zeros(1, 18), torch.ones(1, 18)):
        z_c = ccvae.conditional_prior(y).mean
        by_bayes, by_classifier = (
            torch.stack([model.classifier(z_c).log_prob(v.expand(1, 18)) for v in (y, 1 - y)])
            for model in (bayes, ccvae)
        )
        assert_close(by_classifier, by_bayes, atol=1e-3, rtol=1e-4)


def test_labels_are_those_of_celeba(demo):
    ccvae = load_published(demo)
    assert tuple(ccvae.label_names) == PAPER_ATTRIBUTES
    prevalence = {label.name: label.prevalence for label in ccvae.labels}
    assert prevalence["Eyeglasses"] == pytest.approx(0.0651, abs=1e-4)
    assert prevalence["No_Beard"] == pytest.approx(0.8349, abs=1e-4)
    assert_close(ccvae.label_prior().mean, torch.tensor(list(prevalence.values())))
    assert ccvae.preprocessing == Preprocessing(64, 3, "squash")


def test_other_labels_have_names_and_prevalences(tmp_path):
    write(tmp_path, make_modules("ccvae", num_labels=3, z_dim=10))
    names, prior = ["Hat", "Beard", "Tie"], [0.2, 0.5, 0.1]
    ccvae = load_published(tmp_path, names, prior)
    assert list(ccvae.label_names) == names
    assert ccvae.encoder.block_dims == (3, 7)
    assert_close(ccvae.label_prior().mean, torch.tensor(prior))
    with pytest.raises(ValueError, match="wanted a label_prior"):
        load_published(tmp_path, names)
    with pytest.raises(ValueError, match=r"must have shape \(3,\)"):
        load_published(tmp_path)


def test_a_copy_of_the_repository_is_a_folder_too(tmp_path):
    write(tmp_path / "data" / "revae", make_modules("demo"))
    assert load_published(tmp_path).predicts_by_bayes_rule


@torch.no_grad()
def test_a_saved_model_is_a_checkpoint_like_any_other(version, tmp_path):
    ccvae = load_published(write(tmp_path, make_modules(version)))
    ccvae_pyro.save(tmp_path / "checkpoint.pt", ccvae)
    loaded = ccvae_pyro.load(tmp_path / "checkpoint.pt")
    assert loaded.predicts_by_bayes_rule is (version == "demo")
    assert loaded.preprocessing == ccvae.preprocessing
    x = torch.rand(2, 3, 64, 64)
    for ours, before in zip(loaded.encoder(x), ccvae.encoder(x), strict=True):
        assert_close(ours.variance, before.variance, atol=0, rtol=0)
    assert_close(ccvae_pyro.classify(loaded, x), ccvae_pyro.classify(ccvae, x), atol=0, rtol=0)
    assert_close(ccvae_pyro.edit(loaded, x, "Male", 1), ccvae_pyro.edit(ccvae, x, "Male", 1))


def test_it_is_trained_further(version, tmp_path):
    ccvae = load_published(write(tmp_path, make_modules(version)))
    x, y = torch.rand(8, 3, 64, 64), torch.randint(2, (8, 18)).float()
    svi = SVI(ccvae.model, ccvae.guide, Adam({"lr": 1e-3}), loss=ExactCCVAE_ELBO(100.0))
    losses = [svi.step(x, y) for _ in range(6)]
    assert losses[-1] < losses[0]


def test_it_is_exported_to_onnx(demo, tmp_path):
    export_onnx(load_published(demo), tmp_path / "onnx")
    assert {path.name for path in (tmp_path / "onnx").iterdir()} == {
        "decoder.onnx",
        "encoder.onnx",
        "model.json",
    }


# What is no such model: one line each.


class Evil:
    """An object whose pickle runs a command."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def write_pickle(path, value, *, form):
    """Pickles a value alone, or as an attribute of a module in one of PyTorch's formats."""
    if form == "pickle":
        replace(path, pickle.dumps(value))
        return
    module = Indep_Regressor(18)
    module.extra = value
    write(path.parent, {path.name: module}, is_zip=form == "zip")


@pytest.mark.parametrize("form", ["pickle", "legacy", "zip"])
@pytest.mark.parametrize("name", DEMO_FILES)
def test_a_file_that_would_run_a_command_is_refused(name, form, demo, tmp_path):
    ran = tmp_path / "ran"
    write_pickle(demo / name, Evil(f"touch {ran}"), form=form)
    with pytest.raises(CheckpointError) as caught:
        load_published(demo)
    assert not ran.exists()
    assert str(caught.value) == (
        f"{demo / name} is refused, and nothing of it was run: it refers to {os.name}.system, no "
        "layer or tensor that is known"
    )


@pytest.mark.parametrize("protocol", range(5))
def test_it_is_refused_in_every_protocol_of_pickle(protocol, demo, tmp_path):
    ran = tmp_path / "ran"
    contents = pickle.dumps(Evil(f"touch {ran}"), protocol)
    replace(demo / "decoder.pt", contents)
    with pytest.raises(CheckpointError, match=f"nothing of it was run.*{os.name}.system"):
        load_published(demo)
    assert not ran.exists()


def test_old_instructions_that_call_are_refused(demo):
    replace(demo / "decoder.pt", b"(S'touch ran'\nios\nsystem\n.")
    with pytest.raises(CheckpointError, match=r"refused.*instruction STRING touch ran"):
        load_published(demo)
    replace(demo / "decoder.pt", b"(ios\nsystem\n.")
    with pytest.raises(CheckpointError, match=r"refused.*instruction INST os system"):
        load_published(demo)


@pytest.mark.parametrize(
    "value", [np.zeros(3), nn.BatchNorm2d(3), torch.device("cpu"), print], ids=repr
)
def test_anything_else_in_a_file_is_named(value, is_zip, demo):
    write_pickle(demo / "regressor.pt", value, form="zip" if is_zip else "legacy")
    wanted = r"regressor\.pt is refused, and nothing of it was run: it refers to [\w.]+, no layer"
    with pytest.raises(CheckpointError, match=wanted):
        load_published(demo)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.9999])
@pytest.mark.parametrize("name", DEMO_FILES)
def test_a_truncated_file_is_one_line(name, share, is_zip, demo):
    write(demo, {name: make_modules("demo")[name]}, is_zip=is_zip)
    contents = (demo / name).read_bytes()
    replace(demo / name, contents[: int(share * len(contents))])
    with pytest.raises(CheckpointError, match=f"{name} cannot be read: truncated, or no module"):
        load_published(demo)


def test_damaged_files_give_no_other_error(demo):
    contents = (demo / "regressor.pt").read_bytes()
    rng, messages = np.random.default_rng(0), []
    for _ in range(100):
        damaged = bytearray(contents)
        for place in rng.integers(len(damaged), size=3):
            damaged[place] = rng.integers(256)
        replace(demo / "regressor.pt", damaged)
        try:
            load_published(demo)
        except CheckpointError as error:
            messages.append(str(error))
    assert len(messages) > 30
    assert not any("\n" in message for message in messages)


def test_missing_files_are_named(tmp_path, version):
    with pytest.raises(
        FileNotFoundError, match=r"wanted encoder_z\.pt decoder\.pt regressor\.pt, or"
    ):
        load_published(tmp_path)
    folder = write(tmp_path, make_modules(version))
    last = sorted(path.name for path in folder.iterdir())[-1]
    others = [path for path in folder.iterdir() if path.name != last]
    for path in others:
        path.unlink()
    with pytest.raises(FileNotFoundError, match=f"lacks .*decoder.pt.*: wanted .*{last}"):
        load_published(folder)


def test_a_folder_of_two_models_is_refused(demo):
    write(demo, make_modules("ccvae"))
    with pytest.raises(ValueError, match="has files of two models"):
        load_published(demo)


def other_stride(modules):
    modules["encoder_z.pt"].encoder[2].stride = (1, 1)


def fewer_layers(modules):
    del modules["encoder_z.pt"].encoder[1]


def no_sigmoid(modules):
    del modules["decoder.pt"].decoder[-1]


def no_bias(modules):
    modules["decoder.pt"].decoder[3].bias = None


def other_width(modules):
    modules["encoder_z.pt"] = CELEBAEncoder(45, "demo", width=128)


def other_latents(modules):
    modules["encoder_z.pt"] = CELEBAEncoder(30, "demo")


def not_finite(modules):
    modules["decoder.pt"].decoder[0].weight.data[0, 0] = torch.nan


def another_part(modules):
    modules["regressor.pt"] = Classifier(18)


def no_vectors(modules):
    modules["regressor.pt"].diag_loc_true = nn.Parameter(torch.tensor(1.0))


CHANGES = {
    other_stride: r"layer 2 of its encoder is Conv2d .*, wanted Conv2d",
    fewer_layers: r"layer 1 of its encoder is Conv2d .*, wanted ReLU",
    no_sigmoid: "its decoder has 11 layers, wanted 12",
    no_bias: "ConvTranspose2d has no parameter bias",
    other_width: r"layer 8 of its encoder is Conv2d \(128, 128, 4, 4\)",
    other_latents: r"layer 0 of its decoder is Linear \(256, 45\).*, wanted Linear \(256, 30\)",
    not_finite: r"the parameter decoder\.features\.0\.weight is not finite",
    another_part: "Classifier has no parameter diag_loc_true",
    no_vectors: "the parameters of Indep_Regressor are no vectors",
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_another_architecture_is_named(change, is_zip, tmp_path):
    modules = make_modules("demo")
    change(modules)
    write(tmp_path, modules, is_zip=is_zip)
    wanted = f"{tmp_path} is not of the authors' architecture for CelebA: .*{CHANGES[change]}"
    with pytest.raises(CheckpointError, match=wanted):
        load_published(tmp_path)


def test_parts_of_different_labels_are_refused(tmp_path):
    modules = make_modules("ccvae")
    write(tmp_path, modules | {"classifier.pt": Classifier(5)})
    with pytest.raises(CheckpointError, match="weight is of 5 labels, wanted 18"):
        load_published(tmp_path)
    modules["cond_prior.pt"] = CondPrior(18)
    modules["cond_prior.pt"].diag_loc_false = nn.Parameter(torch.zeros(5))
    write(tmp_path, modules)
    with pytest.raises(CheckpointError, match="loc_false is of 5 labels, wanted 18"):
        load_published(tmp_path)


def test_a_state_dict_is_no_module(is_zip, demo):
    state = make_modules("demo")["decoder.pt"].state_dict()
    write(demo, {"decoder.pt": state}, is_zip=is_zip)
    with pytest.raises(CheckpointError, match=r"decoder\.pt holds a dict, wanted a module"):
        load_published(demo)


def test_tensors_stay_within_their_storage(demo):
    """A pickle may claim any size, stride and offset."""
    prior = Indep_Regressor(18)
    prior.diag_loc_true = nn.Parameter(
        torch.zeros(()).expand(10**6)
    )  # one number, a million times
    write(demo, {"regressor.pt": prior})
    with pytest.raises(CheckpointError, match=r"a tensor of shape .* has 1 values"):
        load_published(demo)
