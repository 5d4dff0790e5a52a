"""Steps to time: of encoder and decoder only, and of SVI."""

from typing import NamedTuple

import torch
from pyro.infer import SVI
from torch.profiler import ProfilerActivity, profile

import ccvae_pyro
from ccvae_pyro import CCVAE_ELBO, ExactCCVAE_ELBO, JointAdam, networks
from ccvae_pyro.training import pick_precision

OBJECTIVES = {"paper": CCVAE_ELBO, "exact": ExactCCVAE_ELBO}
CPU = torch.device("cpu")


class Setting(NamedTuple):
    """The size of a model and its batch."""

    num_labels: int = 18
    z_dim: int = 45
    batch_size: int = 200
    side: int = 64
    labels: str = "all"
    device: torch.device = CPU
    precision: torch.dtype = pick_precision("auto", CPU)


def images(setting):
    """Random images in the memory layout of Batches."""
    x = torch.rand(setting.batch_size, 3 if setting.side == 64 else 1, setting.side, setting.side)
    return x.to(setting.device, memory_format=torch.channels_last)


def bare_step(setting):
    """A step of encoder and decoder only: forward, backward and Adam, without an objective.

    It returns a loss, and can be captured in a CUDA graph.
    """
    sides = {64: (networks.encoder_64, networks.decoder_64)}
    new_encoder, new_decoder = sides.get(setting.side, (networks.encoder_28, networks.decoder_28))
    encoder, decoder = new_encoder(2 * setting.z_dim), new_decoder(setting.z_dim)
    for network in (encoder, decoder):
        ccvae_pyro.set_precision(network.to(setting.device), setting.precision)
    adam = torch.optim.Adam(
        [*encoder.parameters(), *decoder.parameters()],
        lr=1e-3,
        fused=True,
        capturable=setting.device.type == "cuda",
    )
    x = images(setting)

    def step():
        loss = decoder(encoder(x)[:, : setting.z_dim]).sigmoid().mean()
        loss.backward()
        adam.step()
        adam.zero_grad()
        return loss.detach()

    return step


def new_svi(objective, setting):
    """A new model on its device, and SVI for it."""
    preset = ccvae_pyro.celeba if setting.side == 64 else ccvae_pyro.mnist
    ccvae = preset(setting.num_labels, setting.z_dim).to(setting.device)
    ccvae_pyro.set_precision(ccvae, setting.precision)
    svi = SVI(ccvae.model, ccvae.guide, JointAdam({"lr": 1e-4}), loss=objective)
    return ccvae, svi


def step_of(objective, setting, compiled=False):
    """A step of SVI."""
    ccvae, svi = new_svi(objective, setting)
    if compiled:
        ccvae_pyro.compile_networks(ccvae)
    y = torch.randint(2, (setting.batch_size, setting.num_labels)).float()
    if setting.labels == "half":
        y[torch.rand(setting.batch_size) < 0.5] = torch.nan
    batch = (images(setting),) if setting.labels == "none" else (images(setting), y)
    return lambda: svi.step(*batch)


def peak_memory(step):
    """The peak of the bytes of tensors that a step allocates."""
    step()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        step()
    used = peak = 0
    for event in record.profiler.kineto_results.events():
        if event.name() == "[memory]":
            used += event.nbytes()
            peak = max(peak, used)
    return peak
