"""The relatives of the CCVAE: VAE, CVAE, M1, M2, M1+M2, DIVA, MVAE."""

from ccvae_pyro.baselines.cvae import CVAE
from ccvae_pyro.baselines.diva import DIVA, DIVA_ELBO
from ccvae_pyro.baselines.m1 import M1
from ccvae_pyro.baselines.m1_m2 import M1M2
from ccvae_pyro.baselines.m2 import M2
from ccvae_pyro.baselines.m2_elbo import M2_ELBO
from ccvae_pyro.baselines.mvae import MVAE, MVAE_ELBO
from ccvae_pyro.baselines.presets import relative
from ccvae_pyro.baselines.vae import VAE

__all__ = [
    "CVAE",
    "DIVA",
    "DIVA_ELBO",
    "M1",
    "M1M2",
    "M2",
    "M2_ELBO",
    "MVAE",
    "MVAE_ELBO",
    "VAE",
    "relative",
]
