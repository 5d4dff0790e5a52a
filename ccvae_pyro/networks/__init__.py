"""Neural networks, which map tensors to tensors and contain no distributions."""

from ccvae_pyro.networks.architectures import (
    decoder_28,
    decoder_64,
    decoder_conv,
    decoder_mlp,
    encoder_28,
    encoder_64,
    encoder_conv,
    encoder_mlp,
    keep_signal,
    mlp,
)
from ccvae_pyro.networks.layers import Network, compile_networks, set_precision
from ccvae_pyro.networks.residual import decoder_residual, encoder_residual

__all__ = [
    "Network",
    "compile_networks",
    "decoder_28",
    "decoder_64",
    "decoder_conv",
    "decoder_mlp",
    "decoder_residual",
    "encoder_28",
    "encoder_64",
    "encoder_conv",
    "encoder_mlp",
    "encoder_residual",
    "keep_signal",
    "mlp",
    "set_precision",
]
