"""Neural networks, which map tensors to tensors and contain no distributions."""

from ccvae_pyro.networks.architectures import (
    decoder_28,
    decoder_64,
    decoder_mlp,
    encoder_28,
    encoder_64,
    encoder_mlp,
    keep_signal,
    mlp,
)
from ccvae_pyro.networks.layers import Network, compile_networks, set_precision

__all__ = [
    "Network",
    "compile_networks",
    "decoder_28",
    "decoder_64",
    "decoder_mlp",
    "encoder_28",
    "encoder_64",
    "encoder_mlp",
    "keep_signal",
    "mlp",
    "set_precision",
]
