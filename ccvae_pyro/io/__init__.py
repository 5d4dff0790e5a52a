"""Files of models: checkpoints, pretrained weights, the authors' files and ONNX."""

from ccvae_pyro.io._migration import migrate_config
from ccvae_pyro.io.checkpoint import load, read, restore, save, save_choices
from ccvae_pyro.io.onnx import export_onnx
from ccvae_pyro.io.pretrained import facts, load_pretrained
from ccvae_pyro.io.published import load_published

__all__ = [
    "export_onnx",
    "facts",
    "load",
    "load_pretrained",
    "load_published",
    "migrate_config",
    "read",
    "restore",
    "save",
    "save_choices",
]
