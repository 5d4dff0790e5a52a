"""The relatives of the CCVAE: VAE, CVAE, M1, M2, M1+M2, DIVA, MVAE."""

from ccvae_pyro.models.baselines.cvae import CVAE
from ccvae_pyro.models.baselines.diva import DIVA, DIVA_ELBO
from ccvae_pyro.models.baselines.m1 import M1
from ccvae_pyro.models.baselines.m1_m2 import M1M2
from ccvae_pyro.models.baselines.m2 import M2
from ccvae_pyro.models.baselines.mvae import MVAE, MVAE_ELBO
from ccvae_pyro.models.baselines.presets import baseline
from ccvae_pyro.models.baselines.vae import VAE
from ccvae_pyro.objectives.baseline_elbos import M2_ELBO

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
    "baseline",
]
