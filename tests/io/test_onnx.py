import json
from pathlib import Path

import onnxruntime
import pytest
import torch
from helpers import make_ccvae
from torch.testing import assert_close

import ccvae_pyro
from ccvae_pyro import Binary, Categorical, models
from ccvae_pyro.io import onnx as export
from ccvae_pyro.io.onnx import export_onnx
from ccvae_pyro.networks.layers import Network

EXCLUSIVE = (Binary("Bald", 0.3, excludes=("Red_Hair",)), Binary("Red_Hair", 0.6), Binary("Hat"))


def precisions(model):
    return [part.autocast_dtype for part in model.modules() if isinstance(part, Network)]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model in training mode, float64 and bfloat16; its parameters; the folder of its files."""
    torch.manual_seed(0)
    ccvae = ccvae_pyro.celeba(labels=EXCLUSIVE, z_dim=7).double().train()
    for parameter in ccvae.parameters():
        parameter.data += 0.01 * torch.randn_like(parameter)
    ccvae_pyro.set_precision(ccvae, torch.bfloat16)
    before = {name: value.clone() for name, value in ccvae.state_dict().items()}
    folder = tmp_path_factory.mktemp("onnx")
    export_onnx(ccvae, folder)
    return ccvae, before, folder


def test_the_model_is_not_changed(exported):
    ccvae, before, _ = exported
    assert ccvae.training
    assert set(precisions(ccvae)) == {torch.bfloat16}
    for name, value in ccvae.state_dict().items():
        assert_close(value, before[name], atol=0, rtol=0)


@pytest.fixture(scope="module")
def reference(exported):
    """The same model in float32, and ONNX sessions of its networks."""
    _, before, folder = exported
    torch.set_default_dtype(torch.float32)
    model = ccvae_pyro.celeba(labels=EXCLUSIVE, z_dim=7)
    model.load_state_dict(before)
    sessions = [
        onnxruntime.InferenceSession(folder / f"{name}coder.onnx") for name in ("en", "de")
    ]
    return model, *sessions


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_networks_have_the_outputs_of_the_model(reference, batch_size):
    model, encoder, decoder = reference
    x, z = torch.rand(batch_size, 3, 64, 64).float(), torch.randn(batch_size, 7).float()
    z_c, z_style = (torch.from_numpy(each) for each in encoder.run(None, {"x": x.numpy()}))
    (image,) = (torch.from_numpy(each) for each in decoder.run(None, {"z": z.numpy()}))
    with torch.no_grad():
        assert_close((z_c, z_style), model.encode(x), atol=1e-5, rtol=0)
        assert_close(image, model.decode(*z.split([3, 4], -1)), atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [(3, 128, 128), (1, 28, 40)])
def test_networks_of_photographs_have_the_outputs_of_the_model(tmp_path, shape):
    torch.set_default_dtype(torch.float32)
    model = ccvae_pyro.photographs(EXCLUSIVE, shape, 7, width=4, mean_image=torch.rand(shape))
    x, z = torch.rand(3, *shape), torch.randn(3, 7)
    model.encoder(x)  # statistics of the batch normalization
    export_onnx(model.eval(), tmp_path)
    encoder, decoder = (
        onnxruntime.InferenceSession(tmp_path / f"{name}coder.onnx") for name in ("en", "de")
    )
    z_c, z_style = (torch.from_numpy(each) for each in encoder.run(None, {"x": x.numpy()}))
    (image,) = (torch.from_numpy(each) for each in decoder.run(None, {"z": z.numpy()}))
    with torch.no_grad():
        assert_close((z_c, z_style), model.encode(x), atol=1e-5, rtol=0)
        assert_close(image, model.decode(*z.split([3, 4], -1)), atol=1e-5, rtol=0)


def test_inputs_and_outputs_have_the_names_of_the_notation(reference):
    _, encoder, decoder = reference
    names = [[each.name for each in s.get_inputs() + s.get_outputs()] for s in (encoder, decoder)]
    assert names == [["x", "z_c", "z_style"], ["z", "x"]]


def test_labels_are_predicted_and_set_by_the_parameters_in_the_file(exported, reference):
    model, encoder, _ = reference
    written = json.loads((exported[2] / "model.json").read_text())
    assert written["image"] == [3, 64, 64]
    assert written["style"] == {"loc": [0.0] * 4, "scale": [1.0] * 4}
    assert [(label["name"], label["excludes"]) for label in written["labels"]] == [
        ("Bald", ["Red_Hair"]),
        ("Red_Hair", []),
        ("Hat", []),
    ]
    x = torch.rand(4, 3, 64, 64).float()
    z_c = torch.from_numpy(encoder.run(["z_c"], {"x": x.numpy()})[0])
    weight, bias = (
        torch.tensor([label[key] for label in written["labels"]]) for key in ("weight", "bias")
    )
    assert_close(
        (weight * z_c + bias).sigmoid().float(), ccvae_pyro.classify(model, x), atol=1e-5, rtol=0
    )
    for index, label in enumerate(written["labels"]):
        for value in (0, 1):
            moments = (label["loc"][value], label["scale"][value])
            assert moments == pytest.approx([m.item() for m in model.latent_prior(index, value)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.baseline("vae", [Binary("Hat")], 3), "wanted a CCVAE, got a VAE"),
        (
            lambda: ccvae_pyro.mnist(labels=[Binary("Hat"), Categorical("Hair", ("red", "no"))]),
            r"got others: Hair \(Categorical\)",
        ),
        (
            lambda: ccvae_pyro.mnist(labels=[Binary("Hat", extra_dims=1)]),
            r"others: Hat \(Binary\)",
        ),
        (
            lambda: ccvae_pyro.with_bayes_classifier(make_ccvae()),
            "wanted a DiagonalClassifier as classifier, got a BayesClassifier",
        ),
        (
            lambda: ccvae_pyro.CCVAE(torch.nn.Identity(), *list(make_ccvae().children())[1:]),
            "wanted a GaussianEncoder as encoder, got a Identity",
        ),
    ],
    ids=["kind of model", "kind of label", "extra dims", "classifier", "encoder"],
)
def test_a_model_that_the_files_cannot_hold_is_refused(make, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        export_onnx(make(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_parameter_that_is_not_finite_is_an_error_that_names_it(ccvae, tmp_path):
    ccvae.classifier.bias.data[1] = torch.nan
    with pytest.raises(ValueError, match=r"the parameter classifier\.bias is not finite"):
        export_onnx(ccvae, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_package_is_named_with_the_command_to_install_it(ccvae, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"onnx and onnxscript .*'ccvae-pyro\[export\]'"):
        export_onnx(ccvae, tmp_path)


def test_an_old_pytorch_is_an_error(ccvae, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.onnx, "export", lambda model, args, f: None)
    with pytest.raises(ImportError, match=r"PyTorch 2\.5 or later, got "):
        export_onnx(ccvae, tmp_path)


def test_a_failed_write_leaves_the_previous_files(ccvae, tmp_path, monkeypatch):
    (tmp_path / "encoder.onnx").write_text("previous")

    def write_half(self, contents):
        with self.open("wb") as file:
            file.write(contents[: len(contents) // 2])
        raise OSError("the disk is full")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.raises(OSError, match="disk is full"):
        export_onnx(ccvae, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["encoder.onnx"]
    assert (tmp_path / "encoder.onnx").read_text() == "previous"
