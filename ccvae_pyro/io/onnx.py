"""Trained models for whatever runs ONNX: a browser, a phone, another language."""

from __future__ import annotations

import copy
import json
import warnings
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import Any

import pyro
import torch
from torch import Tensor, nn

from ccvae_pyro.components import DiagonalClassifier, GaussianEncoder
from ccvae_pyro.data.files import atomic_write
from ccvae_pyro.labels import are_plain
from ccvae_pyro.models.base import ImageModel
from ccvae_pyro.models.ccvae import CCVAE
from ccvae_pyro.networks.layers import set_precision


def export_onnx(ccvae: ImageModel, folder: Path | str) -> None:
    r"""Writes what encodes, decodes, classifies and edits, each file whole or not at all.

    - ``encoder.onnx``, from ``x`` to ``z_c`` and ``z_style``, the posterior's means;
    - ``decoder.onnx``, from ``z``, that is ``z_c`` and then ``z_style``, to ``x``, the mean image;
    - ``model.json``: the shape of an ``image``, the ``loc`` and ``scale`` of the ``style`` prior,
      and of each of the ``labels`` its name, what it excludes, ``weight`` and ``bias`` of the
      classifier, ``loc`` and ``scale`` of the conditional prior without it and with it.

    Both networks take batches of any size, in float32. The model stays as it is.

    :param ccvae: a model whose labels are binary, of one characteristic each.
    :param folder: where the files go; made if need be.
    :raises ValueError: if the model has other labels, or other parts than these files can hold.
    :raises ImportError: if the packages that write ONNX are missing, or PyTorch is too old.

    Example:

        >>> from ccvae_pyro import mnist
        >>> folder = getfixture("tmp_path")
        >>> export_onnx(mnist(convolutions=False), folder)
        >>> sorted(path.name for path in folder.iterdir())
        ['decoder.onnx', 'encoder.onnx', 'model.json']
    """
    _check(ccvae)
    _check_packages()
    exported: Any = copy.deepcopy(ccvae).cpu().float().eval()
    set_precision(exported, torch.float32)
    z = torch.zeros(2, sum(exported.encoder.block_dims), dtype=torch.float32)
    x = _Decode(exported)(z).detach()
    networks = {
        "encoder.onnx": _onnx(_Encode(exported), x, "x", ["z_c", "z_style"]),
        "decoder.onnx": _onnx(_Decode(exported), z, "z", ["x"]),
        "model.json": json.dumps(_described(exported, x.shape[1:])).encode(),
    }
    for name, contents in networks.items():
        with atomic_write(Path(folder) / name) as part:
            part.write_bytes(contents)


class _Encode(nn.Module):
    def __init__(self, ccvae: CCVAE) -> None:
        super().__init__()
        encoder: Any = ccvae.encoder
        self.features, self.block_dims = encoder.features, encoder.block_dims

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        loc, _ = self.features(x).chunk(2, dim=-1)  # as in normal_of
        return loc.split(self.block_dims, dim=-1)


class _Decode(nn.Module):
    def __init__(self, ccvae: CCVAE) -> None:
        super().__init__()
        self.decoder = ccvae.decoder

    def forward(self, z: Tensor) -> Tensor:
        return self.decoder(z).mean


def _check(model: ImageModel) -> None:
    """Refuses what the files cannot hold."""
    if not isinstance(model, CCVAE):
        raise ValueError(f"wanted a CCVAE, got a {type(model).__name__}")
    if not are_plain(model.labels):
        kinds = {type(label).__name__ for label in model.labels if not are_plain([label])}
        others = ", ".join(label.name for label in model.labels if not are_plain([label]))
        raise ValueError(
            "wanted labels that are binary and have one characteristic each, got others: "
            f"{others} ({', '.join(sorted(kinds))})"
        )
    wanted = {"classifier": DiagonalClassifier, "encoder": GaussianEncoder}
    for name, kind in wanted.items():
        if not isinstance(part := getattr(model, name), kind):
            raise ValueError(f"wanted a {kind.__name__} as {name}, got a {type(part).__name__}")


def _check_packages() -> None:
    if missing := [name for name in ("onnx", "onnxscript") if find_spec(name) is None]:
        names = " and ".join(missing)
        raise ImportError(
            f"{names} missing: ONNX needs an extra, pip install 'ccvae-pyro[export]'"
        )
    if "dynamic_shapes" not in signature(torch.onnx.export).parameters:
        raise ImportError(f"ONNX needs PyTorch 2.5 or later, got {torch.__version__}")


def _onnx(network: nn.Module, example: Tensor, name: str, outputs: list[str]) -> bytes:
    """A network as ONNX, for batches of any size."""
    # A distribution that looks at its parameters is nothing that can be traced.
    with pyro.validation_enabled(False), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's, about itself
        program: Any = torch.onnx.export(
            network,
            (example,),
            input_names=[name],
            output_names=outputs,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            verbose=False,
        )
    return program.model_proto.SerializeToString()


@torch.no_grad()
def _described(ccvae: CCVAE, image: torch.Size) -> dict[str, Any]:
    """What ``model.json`` says."""
    labels: list[dict[str, Any]] = []
    classifier, style = ccvae.classifier, ccvae.style_prior()
    for index, label in enumerate(ccvae.labels):
        priors = [ccvae.latent_prior(index, value) for value in (0.0, 1.0)]
        loc, scale = ([moment.item() for moment in pair] for pair in zip(*priors, strict=True))
        weight, bias = (getattr(classifier, name)[index].item() for name in ("weight", "bias"))
        described = {"name": label.name, "excludes": list(label.excludes)}
        labels.append(described | {"weight": weight, "bias": bias, "loc": loc, "scale": scale})
    moments = {"loc": style.mean.tolist(), "scale": style.variance.sqrt().tolist()}
    return {"image": list(image), "style": moments, "labels": labels}
