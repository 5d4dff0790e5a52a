"""The package's errors, all of one base class."""

from __future__ import annotations


class CCVAEError(Exception):
    """Base class of the errors that this package defines."""


class CheckpointError(CCVAEError, ValueError):
    """A checkpoint that cannot be read, or that belongs to another model."""


class BatchError(CCVAEError, ValueError):
    """Images or labels that a model does not take.

    :param reason: what was got and what was wanted, in one line.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(_first_line(reason))


class RunError(CCVAEError, ValueError):
    """A folder of a run that holds another run, or in which another process trains."""


class PeerError(CCVAEError, RuntimeError):
    """The error of another process that trains the same model."""


class UnsupportedError(CCVAEError, ValueError):
    """An operation that a model has no part for, such as to edit with a plain VAE."""


class NotFactorizedError(CCVAEError, ValueError):
    """A model or a guide that does not declare a factor for each label.

    :param reason: what is not declared, in one line.
    """

    def __init__(self, reason: str) -> None:
        hint = (
            ": CCVAE_ELBO takes any model and guide, best with stop_gradient=False and a "
            "classification_weight"
        )
        self.reason = _first_line(reason).removesuffix(hint)
        super().__init__(self.reason + hint)


def _first_line(reason: str) -> str:
    """Pyro makes an error anew at each trace that it passes, the shapes of all sites below."""
    return reason.partition("\n")[0]
