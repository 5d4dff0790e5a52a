"""What several test files share."""

import csv
import importlib
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyro
import pyro.distributions as dist
import torch

from ccvae_pyro import CCVAE, Binary, Categorical, Continuous, components, networks
from ccvae_pyro.components import label_modules

EXAMPLES = Path(__file__).parent.parent / "examples"
NUM_LABELS, NUM_STYLE, NUM_PIXELS, BATCH = 3, 2, 8, 4
FREQUENCIES = (0.2, 0.5, 0.7, 0.4, 0.1, 0.6)
MIXED_LABELS = (
    Categorical("Hair", ("black", "brown", "red"), (0.5, 0.3, 0.2)),
    Binary("Smiling", 0.4),
    Continuous("Age", 30.0, 10.0, extra_dims=1),
    Binary("Hat", 0.2, extra_dims=1),
    Binary("Beard", 0.7),
)
MIXED_LABEL_VECTORS = ((2.0, 1, 35, 0, 1), (0, 0, 12, 1, 1), (1, 1, 30, 1, 0), (2, 0, 41, 0, 0))
# Which labels of a batch are missing, for label vectors of up to five labels.
MISSING = {
    "labeled": [[0] * 5] * BATCH,
    "unlabeled": [[1] * 5] * BATCH,
    "mixed": [[0] * 5, [1] * 5, [0] * 5, [1] * 5],
    "partly": [[0, 1, 0, 1, 0], [1, 1, 1, 1, 1], [1, 0, 1, 0, 0], [0, 0, 0, 0, 1]],
}
AUGMENTATIONS = {
    "none": {},
    "shift": {"shift": 2},
    "warp": {"warp": 0.2},
    "both": {"shift": 2, "warp": 0.2},
    "flip": {"flip": True},
    "all": {"shift": 2, "warp": 0.2, "flip": True},
}
NAMES = ("Bald", "Beard", "Wearing_Hat", "Eyeglasses", "Smiling", "Gray_Hair")


def make_ccvae(num_labels: int = NUM_LABELS) -> CCVAE:
    """A CCVAE of vectors rather than images, small enough for exact checks."""
    z_dim = num_labels + NUM_STYLE
    ccvae = CCVAE(
        components.GaussianEncoder(
            networks.mlp(NUM_PIXELS, 2 * z_dim, hidden=16), (num_labels, NUM_STYLE)
        ),
        components.LaplaceDecoder(networks.mlp(z_dim, NUM_PIXELS, hidden=16), event_dim=1),
        components.DiagonalClassifier(num_labels),
        components.GaussianConditionalPrior(num_labels),
        components.StandardNormal(NUM_STYLE),
        components.BernoulliLabelPrior(torch.tensor(FREQUENCIES[:num_labels])),
        label_names=NAMES[:num_labels],
    )
    # Away from the symmetric start, where some mistakes would cancel.
    for parameter in ccvae.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return ccvae


def make_mixed(labels=MIXED_LABELS, ignores_z=False):
    """A CCVAE of vectors whose labels are of all kinds.

    :param ignores_z: whether the decoder does not depend on the latents.
    """
    num_characteristics = sum(label.dim for label in labels)
    z_dim = num_characteristics + NUM_STYLE
    decoder = components.LaplaceDecoder(networks.mlp(z_dim, NUM_PIXELS, hidden=16), event_dim=1)
    if ignores_z:
        decoder.forward = standard_normal_pixels
    ccvae = CCVAE(
        components.GaussianEncoder(
            networks.mlp(NUM_PIXELS, 2 * z_dim, hidden=16), (num_characteristics, NUM_STYLE)
        ),
        decoder,
        style_prior=components.StandardNormal(NUM_STYLE),
        labels=labels,
        **label_modules(labels)._asdict(),
    )
    for parameter in ccvae.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return ccvae.double()


def standard_normal_pixels(z):
    """An image distribution that does not depend on the latents."""
    return dist.Normal(z.new_zeros(*z.shape[:-1], NUM_PIXELS), 1.0).to_event(1)


def with_missing(y, pattern):
    """The label vectors of a batch, some labels of which are missing (NaN)."""
    is_missing = torch.tensor(MISSING[pattern], dtype=torch.bool)[:, : y.shape[-1]]
    return torch.where(is_missing, torch.nan, y)


def enumerated(ccvae):
    """The same model and guide with a site for each label, for Pyro to enumerate."""
    num_labels = len(ccvae.label_names)

    def guide(x):
        with pyro.plate("data", len(x)):
            q_z_c, q_z_style = ccvae.encoder(x)
            z_c = pyro.sample("z_c", q_z_c)
            pyro.sample("z_style", q_z_style)
            logits = ccvae.classifier(z_c).groups[0].distribution.logits
            for i in range(num_labels):
                q_y = dist.Bernoulli(logits=logits[..., i])
                pyro.sample(f"y_{i}", q_y, infer={"enumerate": "parallel"})

    def model(x):
        with pyro.plate("data", len(x)):
            probs = ccvae.label_prior().base_dist.probs
            columns = [pyro.sample(f"y_{i}", dist.Bernoulli(p)) for i, p in enumerate(probs)]
            y = torch.stack(torch.broadcast_tensors(*columns), dim=-1)
            z_c = pyro.sample("z_c", ccvae.conditional_prior(y))
            z_style = pyro.sample("z_style", ccvae.style_prior())
            pyro.sample("x", ccvae.decoder(torch.cat([z_c, z_style], -1)), obs=x)

    return model, guide


def seeded(function, *args):
    """Calls a function after setting the seed."""
    pyro.set_rng_seed(1)
    return function(*args)


def assert_mean_close(estimate, expected, num_estimates=40):
    """The mean of an estimator is the expected value, to five standard errors."""
    estimates = torch.tensor([estimate() for _ in range(num_estimates)])
    error = 5 * estimates.std().item() / num_estimates**0.5
    torch.testing.assert_close(estimates.mean().item(), float(expected), atol=error, rtol=0)


def assert_same_states(first, second):
    """All tensors of two state dicts are equal, bit for bit."""
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def assert_same_batches(some, others):
    """All tensors of all batches are equal, bit for bit."""
    for batch, other in zip(some, others, strict=True):
        for a, b in zip(batch, other, strict=True):
            assert a.shape == b.shape
            assert torch.equal(a.nan_to_num(-1), b.nan_to_num(-1))


def write_mnist(root, num_images, name="fashion"):
    """Lays random images out as torchvision keeps MNIST, two of three to train."""
    raw = root / {"mnist": "MNIST", "fashion": "FashionMNIST"}[name] / "raw"
    raw.mkdir(parents=True)
    rng, num_train = np.random.default_rng(0), num_images * 2 // 3
    images = rng.integers(256, size=(num_images, 28, 28), dtype=np.uint8)
    classes = (np.arange(num_images) % 10).astype(np.uint8)
    for kind, array in (("images", images), ("labels", classes)):
        parts = {"train": array[:num_train], "t10k": array[num_train:]}
        for part, values in parts.items():
            # A magic number, the sizes, the bytes.
            header = np.array([2048 + values.ndim, *values.shape], dtype=">i4")
            path = raw / f"{part}-{kind}-idx{values.ndim}-ubyte"
            path.write_bytes(header.tobytes() + values.tobytes())
    return images, classes


class Finished(NamedTuple):
    """What an example left behind."""

    returncode: int
    stdout: str
    stderr: str


def run_example(name, *arguments):
    """Runs an example as its user does, but in this process: another takes seconds to start."""
    if str(EXAMPLES) not in sys.path:
        sys.path.append(str(EXAMPLES))
    main = importlib.import_module(name.removesuffix(".py")).main
    out, err, dtype = StringIO(), StringIO(), torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with redirect_stdout(out), redirect_stderr(err), pyro.get_param_store().scope():
            code = main([str(argument) for argument in arguments])
    except SystemExit as stop:  # a command line that makes no sense
        code = stop.code
    finally:
        torch.set_default_dtype(dtype)
    return Finished(code, out.getvalue(), err.getvalue())


def assert_refused(result, message, out):
    """A run ended with one line for its user to mend, and left nothing."""
    assert result.returncode == 2
    assert message in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert not out.exists()


def rows_of(path):
    """The rows of a CSV, by its header."""
    with path.open() as file:
        return list(csv.DictReader(file))


def run_ranks(script, *arguments, num_ranks=2, timeout=None, **environment):
    """Starts processes as ``torchrun`` does, a thread in each, and waits for them to end."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc-per-node={num_ranks}", str(script), *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=timeout
    )
