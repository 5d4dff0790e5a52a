"""Export of trained models to ONNX, for browsers, phones and other languages."""

from __future__ import annotations

import copy
import json
import warnings
from dataclasses import asdict
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import Any

import pyro
import torch
from torch import Tensor, nn

from ccvae_pyro.components import DiagonalClassifier, GaussianEncoder
from ccvae_pyro.data.files import atomic_write
from ccvae_pyro.io._contents import check_tensors
from ccvae_pyro.labels import are_plain
from ccvae_pyro.models import CCVAE, ImageModel
from ccvae_pyro.networks import set_precision


def export_onnx(ccvae: ImageModel, folder: Path | str) -> None:
    r"""Writes a model's networks as ONNX and its other parameters as JSON, each file atomically.

    - ``encoder.onnx``: from ``x`` to the posterior means ``z_c`` and ``z_style``;
    - ``decoder.onnx``: from ``z``, the concatenation of ``z_c`` and ``z_style``, to the mean
      image ``x``;
    - ``model.json``: the shape of an ``image``; the ``preprocessing`` of image files, as in
      :class:`~ccvae_pyro.data.Preprocessing`, null where it is unknown; ``loc`` and ``scale`` of
      the ``style`` prior; and for each of the ``labels`` its ``name``, the labels that it
      ``excludes``, ``weight`` and ``bias`` of the classifier, and ``loc`` and ``scale`` of the
      conditional prior, for the values 0 and 1 of the label.

    Both networks take batches of any size, in float32. The model is not changed. Labels are those
    of the classifier, whatever :func:`~ccvae_pyro.evaluation.choose_predictor` chose.

    :param ccvae: a model with binary labels of one characteristic each.
    :param folder: the folder of the files; it is created if needed.
    :raises ValueError: if the model has other labels or components than these files can hold, or
        a parameter is not finite.
    :raises ImportError: if the packages that write ONNX are missing, or PyTorch is too old.

    Example:

        >>> from ccvae_pyro import mnist
        >>> folder = getfixture("tmp_path")
        >>> export_onnx(mnist(convolutions=False), folder)
        >>> sorted(path.name for path in folder.iterdir())
        ['decoder.onnx', 'encoder.onnx', 'model.json']
    """
    _check_model(ccvae)
    _check_packages()
    exported: Any = copy.deepcopy(ccvae).cpu().float().eval()
    set_precision(exported, torch.float32)
    z = torch.zeros(2, sum(exported.encoder.block_dims), dtype=torch.float32)
    x = _Decode(exported)(z).detach()
    networks = {
        "encoder.onnx": _onnx(_Encode(exported), x, "x", ["z_c", "z_style"]),
        "decoder.onnx": _onnx(_Decode(exported), z, "z", ["x"]),
        "model.json": json.dumps(_parameters(exported, x.shape[1:])).encode(),
    }
    for name, contents in networks.items():
        with atomic_write(Path(folder) / name) as part:
            part.write_bytes(contents)


class _Encode(nn.Module):
    def __init__(self, ccvae: CCVAE) -> None:
        super().__init__()
        encoder: Any = ccvae.encoder
        self.features, self.block_dims = encoder.features, encoder.block_dims

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features: Tensor = self.features(x)
        loc, _ = features.chunk(2, dim=-1)
        z_c, z_style = loc.split(self.block_dims, dim=-1)
        return z_c, z_style


class _Decode(nn.Module):
    def __init__(self, ccvae: CCVAE) -> None:
        super().__init__()
        self.decoder = ccvae.decoder

    def forward(self, z: Tensor) -> Tensor:
        image: Tensor = self.decoder(z).mean
        return image


def _check_model(model: ImageModel) -> None:
    """Raises ValueError if the files cannot hold the model."""
    if not isinstance(model, CCVAE):
        raise ValueError(f"wanted a CCVAE, got a {type(model).__name__}")
    if not are_plain(model.labels):
        kinds = {type(label).__name__ for label in model.labels if not are_plain([label])}
        others = ", ".join(label.name for label in model.labels if not are_plain([label]))
        raise ValueError(
            "ONNX export needs binary labels of one characteristic each, got others: "
            f"{others} ({', '.join(sorted(kinds))})"
        )
    wanted = {"classifier": DiagonalClassifier, "encoder": GaussianEncoder}
    for name, kind in wanted.items():
        if not isinstance(part := getattr(model, name), kind):
            raise ValueError(f"wanted a {kind.__name__} as {name}, got a {type(part).__name__}")
    check_tensors(model.state_dict(), model)


def _check_packages() -> None:
    if missing := [name for name in ("onnx", "onnxscript") if find_spec(name) is None]:
        names = " and ".join(missing)
        raise ImportError(f"{names} missing: install them with pip install 'ccvae-pyro[export]'")
    if "dynamic_shapes" not in signature(torch.onnx.export).parameters:
        raise ImportError(f"ONNX export needs PyTorch 2.5 or later, got {torch.__version__}")


def _onnx(network: nn.Module, example: Tensor, name: str, outputs: list[str]) -> bytes:
    """A network as ONNX, for batches of any size."""
    # The validation of a distribution's parameters depends on their values and cannot be traced.
    with pyro.validation_enabled(False), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about its own internals
        program: Any = torch.onnx.export(
            network,
            (example,),
            input_names=[name],
            output_names=outputs,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            verbose=False,
        )
    contents: bytes = program.model_proto.SerializeToString()
    return contents


@torch.no_grad()
def _parameters(ccvae: CCVAE, image: torch.Size) -> dict[str, Any]:
    """The contents of ``model.json``."""
    labels: list[dict[str, Any]] = []
    classifier, style = ccvae.classifier, ccvae.style_prior()
    for index, label in enumerate(ccvae.labels):
        priors = [ccvae.latent_prior(index, value) for value in (0.0, 1.0)]
        loc, scale = ([moment.item() for moment in pair] for pair in zip(*priors, strict=True))
        weight, bias = (getattr(classifier, name)[index].item() for name in ("weight", "bias"))
        entry = {"name": label.name, "excludes": list(label.excludes)}
        labels.append(entry | {"weight": weight, "bias": bias, "loc": loc, "scale": scale})
    moments = {"loc": style.mean.tolist(), "scale": style.variance.sqrt().tolist()}
    preprocessing = None if ccvae.preprocessing is None else asdict(ccvae.preprocessing)
    return {
        "image": list(image),
        "preprocessing": preprocessing,
        "style": moments,
        "labels": labels,
    }
