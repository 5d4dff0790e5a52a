"""Modules with the class names and attributes of the authors' files, for tests to pickle.

Their ``forward`` is the reference that models are compared with.
"""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import nn

NAME = "models.networks"  # of the module that the authors' classes are in


class View(nn.Module):
    __module__ = NAME

    def __init__(self, size):
        super().__init__()
        self.size = size

    def forward(self, x):
        return x.view(self.size)


class CELEBAEncoder(nn.Module):
    """An encoder.

    :param version: ``"demo"``, whose scales are exponentials; ``"ccvae"``, with the softplus; or
        ``"ccvae_pytorch"``, whose last layers are ``locs`` and ``scales``.
    """

    __module__ = NAME

    def __init__(self, z_dim, version, width=256):
        super().__init__()
        self.z_dim, self.version = z_dim, version
        layers = [
            *(nn.Conv2d(3, 32, 4, 2, 1), nn.ReLU(True), nn.Conv2d(32, 32, 4, 2, 1), nn.ReLU(True)),
            *(nn.Conv2d(32, 64, 4, 2, 1), nn.ReLU(True), nn.Conv2d(64, 128, 4, 2, 1)),
            *(nn.ReLU(True), nn.Conv2d(128, width, 4), nn.ReLU(True), View((-1, width))),
        ]
        if version != "ccvae_pytorch":
            layers.append(nn.Linear(width, 2 * z_dim))
        self.encoder = nn.Sequential(*layers)
        self.locs, self.scales = nn.Linear(width, z_dim), nn.Linear(width, z_dim)

    def forward(self, x):
        h = self.encoder(x)
        if self.version == "ccvae_pytorch":
            loc, raw_scale = self.locs(h), self.scales(h)
        else:
            loc, raw_scale = h.split(self.z_dim, dim=1)
        return loc, raw_scale.exp() if self.version == "demo" else positive(raw_scale)


class CELEBADecoder(nn.Module):
    __module__ = NAME

    def __init__(self, z_dim):
        super().__init__()
        self.decoder = nn.Sequential(
            *(nn.Linear(z_dim, 256), View((-1, 256, 1, 1)), nn.ReLU(True)),
            *(nn.ConvTranspose2d(256, 128, 4), nn.ReLU(True)),
            *(nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.ReLU(True)),
            *(nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(True)),
            *(nn.ConvTranspose2d(32, 32, 4, 2, 1), nn.ReLU(True)),
            *(nn.ConvTranspose2d(32, 3, 4, 2, 1), nn.Sigmoid()),
        )

    def forward(self, z):
        return self.decoder(z)


class CondPrior(nn.Module):
    __module__ = NAME

    def __init__(self, dim):
        super().__init__()
        self.dim = dim
        for name in ("diag_loc_true", "diag_loc_false", "diag_scale_true", "diag_scale_false"):
            setattr(self, name, nn.Parameter(torch.randn(dim)))

    def forward(self, y):
        loc = y * self.diag_loc_true + (1 - y) * self.diag_loc_false
        return loc, positive(y * self.diag_scale_true + (1 - y) * self.diag_scale_false)


class Indep_Regressor(CondPrior):
    __module__ = NAME


class Diagonal(nn.Module):
    __module__ = NAME

    def __init__(self, dim):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(dim)), nn.Parameter(torch.randn(dim))

    def forward(self, z):
        return z * self.weight + self.bias


class Classifier(nn.Module):
    __module__ = NAME

    def __init__(self, dim):
        super().__init__()
        self.diag = Diagonal(dim)

    def forward(self, z):
        return self.diag(z)


def positive(raw_scale):
    return F.softplus(raw_scale).clamp(min=1e-3)


def make_modules(version="demo", num_labels=18, z_dim=45, **options):
    """The modules of a version by the names of their files."""
    encoder, decoder = CELEBAEncoder(z_dim, version, **options), CELEBADecoder(z_dim)
    if version == "demo":
        files = {"encoder_z.pt": encoder, "decoder.pt": decoder}
        return files | {"regressor.pt": Indep_Regressor(num_labels)}
    files = {"encoder.pt": encoder, "decoder.pt": decoder, "cond_prior.pt": CondPrior(num_labels)}
    return files | {"classifier.pt": Classifier(num_labels)}


def write(folder, modules, *, is_zip=False):
    """Pickles modules into files of a folder, in the present format or in that before 1.6."""
    folder.mkdir(parents=True, exist_ok=True)
    with authors_module():
        for name, module in modules.items():
            contents = io.BytesIO()
            torch.save(module, contents, _use_new_zipfile_serialization=is_zip)
            replace(folder / name, contents.getvalue())
    return folder


def replace(path, contents):
    """Writes a file anew, so that others that are linked to it stay as they are."""
    path.unlink(missing_ok=True)
    path.write_bytes(contents)


@contextmanager
def authors_module() -> Iterator[None]:
    """Lets pickle find the classes of this file by the authors' name of their module."""
    module = sys.modules[write.__module__]
    with patch.dict(sys.modules, {"models": module, NAME: module}):
        yield
