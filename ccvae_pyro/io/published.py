"""The models that the paper's authors published, or that their training scripts leave."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ccvae_pyro.components import BayesClassifier
from ccvae_pyro.data import PAPER_ATTRIBUTES
from ccvae_pyro.data.preprocessing import Preprocessing
from ccvae_pyro.distributions.label_vector import label_groups
from ccvae_pyro.errors import CheckpointError
from ccvae_pyro.io._contents import check_tensors
from ccvae_pyro.io._pickled_modules import PickledModule, are_ints, read_module
from ccvae_pyro.models import CCVAE, celeba

# Of the 202,599 images of CelebA, those that have each of the paper's attributes.
_COUNTS = (
    54_090, 41_446, 30_709, 48_472, 29_983, 41_572, 28_803, 11_663, 13_193, 78_390, 84_437,
    169_158, 8_701, 16_163, 97_669, 64_744, 14_732, 156_734,
)  # fmt: skip
_NUM_IMAGES = 202_599
_CLASSES = {
    "models.networks": {
        "View", "CELEBAEncoder", "CELEBADecoder", "Classifier", "Diagonal", "CondPrior",
        "Indep_Regressor",
    }
}  # fmt: skip
# Names of parameters, ours and the authors'.
_PRIOR = {
    "loc_true": "diag_loc_true", "loc_false": "diag_loc_false",
    "raw_scale_true": "diag_scale_true", "raw_scale_false": "diag_scale_false",
}  # fmt: skip
_CLASSIFIER = {"weight": "weight", "bias": "bias"}
_SETTINGS = ("stride", "padding", "output_padding", "dilation", "groups", "padding_mode")
_KINDS = ("Conv2d", "ConvTranspose2d", "Linear", "ReLU", "Sigmoid")


class _Version(NamedTuple):
    """A version of the authors' code: the file of each part, and the scale of its encoder."""

    files: Mapping[str, str]
    encoder_scale: str

    def __str__(self) -> str:
        return " ".join(self.files.values())


_DEMO = _Version(
    {"encoder": "encoder_z.pt", "decoder": "decoder.pt", "conditional_prior": "regressor.pt"},
    "exp",
)
_TRAINED = _Version(
    {
        "encoder": "encoder.pt", "decoder": "decoder.pt", "conditional_prior": "cond_prior.pt",
        "classifier": "classifier.pt",
    },
    "softplus",
)  # fmt: skip
_DEMO_FOLDER = Path("data") / "revae"  # of the files in revae-demo


def load_published(
    folder: Path | str,
    label_names: Sequence[str] = PAPER_ATTRIBUTES,
    label_prior: Tensor | Sequence[float] | None = None,
) -> CCVAE:
    r"""Loads a model that the paper's authors published, or that their scripts trained.

    ``folder`` is a copy of `thwjoy/revae-demo <https://github.com/thwjoy/revae-demo>`_, whose
    model was trained on CelebA, or a folder of the files that the scripts of ``thwjoy/ccvae`` and
    ``thwjoy/ccvae_pytorch`` write. They are pickled modules, which PyTorch refuses to open unless
    their code may run. Here they are read without running any. The versions differ:

    - The standard deviations of the encoder are the exponential of its features in revae-demo,
      and their softplus, clamped to at least 0.001, in the others.
    - Its last layer is the end of one network in revae-demo and ccvae, whose layers ``locs`` and
      ``scales`` are not used. In ccvae_pytorch it is these two.
    - There is no classifier in revae-demo. Labels are predicted by Bayes' rule from the priors, as
      by :func:`~ccvae_pyro.with_bayes_classifier`. The model's classifier, which ONNX files have
      and further training starts from, is the affine logit that agrees with Bayes' rule at both
      prior means of each label.

    :func:`~ccvae_pyro.save` writes the model as a checkpoint.

    :param folder: the folder of the files, or the root of a copy of revae-demo.
    :param label_names: the names of the labels in the order of the latents; by default the 18
        attributes of the paper.
    :param label_prior: the prevalence of each label; by default, for these 18 attributes, that in
        CelebA. The files have none.
    :returns: the model, on the CPU.
    :raises FileNotFoundError: if files are missing.
    :raises CheckpointError: if a file cannot be read, refers to anything but layers and tensors,
        or is of another architecture.
    :raises ValueError: if the model has another number of labels than there are names, or the
        prevalence of other labels is not given.
    """
    if label_prior is None:
        if tuple(label_names) != PAPER_ATTRIBUTES:
            raise ValueError("wanted a label_prior: the prevalence of these labels is not known")
        label_prior = torch.tensor(_COUNTS) / _NUM_IMAGES
    folder, version = _find(Path(folder))
    modules = {part: read_module(folder / name, _CLASSES) for part, name in version.files.items()}
    with _naming(folder):
        encoder = _layers_of_encoder(modules["encoder"])
        decoder = list(_layers(modules["decoder"].child("decoder")))
        prior = _parameters(modules["conditional_prior"], _PRIOR)
        classifier = None
        if "classifier" in modules:
            classifier = _parameters(modules["classifier"].child("diag"), _CLASSIFIER)
    ccvae = celeba(
        len(prior["loc_true"]),
        len(encoder[-1].parameters[-1]) // 2,
        torch.as_tensor(label_prior),
        label_names=tuple(label_names),
        encoder_scale=version.encoder_scale,
    )
    with _naming(folder), torch.no_grad():
        _copy_layers(encoder, _layers_of_network(ccvae.encoder), "encoder")
        network = [*_layers_of_network(ccvae.decoder), _Layer("Sigmoid")]
        _copy_layers(decoder, network, "decoder")
        _copy_parameters(prior, ccvae.conditional_prior)
        _copy_parameters(classifier or _affine_bayes_rule(ccvae), ccvae.classifier)
        check_tensors(ccvae.state_dict(), ccvae)
    ccvae.predicts_by_bayes_rule = classifier is None
    ccvae.preprocessing = Preprocessing(64, 3, "squash")
    return ccvae


def _find(folder: Path) -> tuple[Path, _Version]:
    """The folder of the files, and their version.

    :raises FileNotFoundError: if files are missing.
    :raises ValueError: if there are files of both versions.
    """
    if not (folder / "decoder.pt").is_file() and (folder / _DEMO_FOLDER).is_dir():
        folder = folder / _DEMO_FOLDER
    begun = [
        version
        for version in (_DEMO, _TRAINED)
        if any(
            (folder / name).is_file() for name in version.files.values() if name != "decoder.pt"
        )
    ]
    if len(begun) > 1:
        raise ValueError(f"{folder} has files of two models: wanted either {_DEMO}, or {_TRAINED}")
    if not begun:
        raise FileNotFoundError(
            f"{folder} has no model of the paper's authors: wanted {_DEMO}, or {_TRAINED}"
        )
    (version,) = begun
    if missing := [name for name in version.files.values() if not (folder / name).is_file()]:
        raise FileNotFoundError(f"{folder} lacks {' and '.join(missing)}: wanted {version}")
    return folder, version


@contextmanager
def _naming(folder: Path) -> Iterator[None]:
    """Names the folder in errors about its modules."""
    try:
        yield
    except ValueError as error:
        raise CheckpointError(
            f"{folder} is not of the authors' architecture for CelebA: {error}"
        ) from error


class _Layer(NamedTuple):
    """A layer of a network: the name of its class, settings of a convolution, parameters."""

    kind: str
    settings: tuple[Any, ...] = ()
    parameters: tuple[Tensor, ...] = ()

    def __str__(self) -> str:
        shapes = (tuple(parameter.shape) for parameter in self.parameters)
        return " ".join(map(str, (self.kind, *shapes, *self.settings)))


def _layers(network: PickledModule) -> Iterator[_Layer]:
    """The layers of the authors' network, up to those that only reshape.

    :raises ValueError: if it has others.
    """
    for layer in network.children():
        if layer.kind == "View":
            continue
        if layer.kind not in _KINDS:
            raise ValueError(f"it has a layer {layer.kind}")
        settings = tuple(_setting(layer, name) for name in _SETTINGS if "Conv" in layer.kind)
        parameters = () if layer.kind in ("ReLU", "Sigmoid") else _weight_and_bias(layer)
        yield _Layer(layer.kind, settings, parameters)


def _layers_of_encoder(encoder: PickledModule) -> list[_Layer]:
    """The layers of the authors' encoder, the last of which gives both means and scales."""
    layers = list(_layers(encoder.child("encoder")))
    if not layers or layers[-1].kind != "Linear":
        heads = (_weight_and_bias(encoder.child(name)) for name in ("locs", "scales"))
        layers.append(_Layer("Linear", (), tuple(map(torch.cat, zip(*heads, strict=True)))))
    return layers


def _setting(layer: PickledModule, name: str) -> Any:
    value = layer.state.get(name)
    if not are_ints(value) and type(value) not in (int, str):
        raise ValueError(f"{layer.kind} has a {type(value).__name__} as {name}")
    return value


def _weight_and_bias(layer: PickledModule) -> tuple[Tensor, Tensor]:
    weight, bias = layer.tensor("weight"), layer.tensor("bias")
    if weight.dim() < 2 or bias.dim() != 1:
        raise ValueError(f"{layer.kind} has a weight of shape {tuple(weight.shape)}")
    return weight, bias


def _layers_of_network(part: nn.Module) -> Iterator[_Layer]:
    """The layers of the network of a part of a CCVAE, up to those that only reshape."""
    for layer in part.get_submodule("features").children():
        kinds = [kind for kind in _KINDS if isinstance(layer, getattr(nn, kind))]
        if kinds:
            settings = (getattr(layer, name) for name in _SETTINGS if "Conv" in kinds[0])
            yield _Layer(kinds[0], tuple(settings), tuple(layer.parameters()))


def _copy_layers(layers: Sequence[_Layer], network: Iterable[_Layer], part: str) -> None:
    """Copies the parameters of layers into those of a network.

    :raises ValueError: if the network has other layers.
    """
    wanted = list(network)
    for number, (theirs, ours) in enumerate(zip(layers, wanted, strict=False)):
        if str(theirs) != str(ours):
            raise ValueError(f"layer {number} of its {part} is {theirs}, wanted {ours}")
        for parameter, value in zip(ours.parameters, theirs.parameters, strict=True):
            parameter.copy_(value)
    if len(layers) != len(wanted):
        raise ValueError(f"its {part} has {len(layers)} layers, wanted {len(wanted)}")


def _parameters(module: PickledModule, names: Mapping[str, str]) -> dict[str, Tensor]:
    """Parameters with an entry for each label, by our names.

    :raises ValueError: if there are none.
    """
    parameters = {ours: module.tensor(theirs) for ours, theirs in names.items()}
    if any(parameter.dim() != 1 for parameter in parameters.values()):
        raise ValueError(f"the parameters of {module.kind} are no vectors")
    return parameters


def _copy_parameters(parameters: Mapping[str, Tensor], module: nn.Module) -> None:
    """Copies parameters into those of a module.

    :raises ValueError: if they are of another number of labels.
    """
    for name, value in parameters.items():
        own = module.get_parameter(name)
        if own.shape != value.shape:
            raise ValueError(f"{name} is of {len(value)} labels, wanted {len(own)}")
        own.copy_(value)


def _affine_bayes_rule(ccvae: CCVAE) -> dict[str, Tensor]:
    """The classifier whose logits are those of Bayes' rule at both prior means of each label."""
    prior = ccvae.conditional_prior
    false, true = prior.get_parameter("loc_false"), prior.get_parameter("loc_true")
    bayes = BayesClassifier(ccvae.label_prior, prior)
    (group,) = label_groups(bayes(torch.stack([false, true])))
    logit_at_false, logit_at_true = group.distribution.logits
    weight = (logit_at_true - logit_at_false) / (true - false)
    return {"weight": weight, "bias": logit_at_true - weight * true}
