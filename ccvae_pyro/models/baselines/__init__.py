"""The baselines of the CCVAE: VAE, CVAE, M1, M2, M1+M2, DIVA and MVAE.

Their objectives are in :mod:`ccvae_pyro.objectives`.
"""

from ccvae_pyro.models.baselines.cvae import CVAE
from ccvae_pyro.models.baselines.diva import DIVA
from ccvae_pyro.models.baselines.m1 import M1
from ccvae_pyro.models.baselines.m1_m2 import M1M2
from ccvae_pyro.models.baselines.m2 import M2
from ccvae_pyro.models.baselines.mvae import MVAE
from ccvae_pyro.models.baselines.vae import VAE

__all__ = [
    "CVAE",
    "DIVA",
    "M1",
    "M1M2",
    "M2",
    "MVAE",
    "VAE",
]
