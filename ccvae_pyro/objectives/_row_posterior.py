"""The posterior of all characteristics, put together from those of each kind of label."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pyro.infer.util import is_validation_enabled
from torch import Tensor
from torch.distributions import Normal

from ccvae_pyro.distributions.label_vector import LabelPart
from ccvae_pyro.distributions.nested_categorical import NestedCategorical
from ccvae_pyro.distributions.reading import num_classes_of
from ccvae_pyro.errors import NotFactorizedError
from ccvae_pyro.labels import is_wrong
from ccvae_pyro.objectives._line_posterior import LinePosterior
from ccvae_pyro.objectives._posterior import ClassPosterior, LabelTerms, Line
from ccvae_pyro.objectives.prior_probe import PriorProbe


class RowPosterior:
    r"""The posterior :math:`q(z_c, y \mid x)` of a row of labels, some of which are known.

    :param normal: :math:`q(z_c \mid x)`, shape ``(batch, num_characteristics)``.
    :param parts: the labels by their kind, as the classifier has them.
    :param lines: what the classifier makes of the characteristics, for each part.
    :param y: the labels, NaN where missing, shape ``(batch, num_labels)``.
    """

    def __init__(
        self, normal: Normal, parts: Sequence[LabelPart], lines: Sequence[Line], y: Tensor
    ) -> None:
        self.parts = parts
        self.posteriors = [
            _posterior(normal, part, line, y) for part, line in zip(parts, lines, strict=True)
        ]

    def rsample(self) -> Tensor:
        r"""Draws :math:`z_c` from what the known labels make of the Normal."""
        draws = [posterior.rsample().flatten(-2) for posterior in self.posteriors]
        latents = [part.latents for part in self.parts if part.latents is not None]
        if not latents:  # a row of binary labels, in its order
            return draws[0]
        places = torch.cat([entries.flatten() for entries in latents])
        return torch.cat(draws, dim=-1)[..., places.argsort()]

    def terms(self, priors: PriorProbe, name: str) -> LabelTerms:
        """The bound's terms about all labels.

        :param priors: what the model makes of every value of a label.
        :param name: the site of the characteristics.
        """
        terms = []
        for part, posterior, of_prior in zip(
            self.parts, self.posteriors, priors.parts, strict=True
        ):
            fn, prior = of_prior.distribution, priors.prior_of(name, part)
            if isinstance(posterior, LinePosterior):
                agree = isinstance(fn, Normal)
            else:
                agree = num_classes_of(fn) == len(posterior.signs)
            if not agree:
                raise NotFactorizedError(f"of 'y', model and guide differ in the part {fn}")
            terms.append(posterior.terms(fn, prior))
        return LabelTerms(*(sum(term[1:], start=term[0]) for term in zip(*terms, strict=True)))


def _posterior(
    normal: Normal, part: LabelPart, line: Line, y: Tensor
) -> ClassPosterior | LinePosterior:
    loc, scale = part.characteristics(normal.loc), part.characteristics(normal.scale)
    block, y = Normal(loc, scale, validate_args=False), part.labels(y)
    fn = part.distribution
    if is_validation_enabled():
        _check(part, y)
    if isinstance(fn, Normal):
        return LinePosterior(block, line, fn.scale[0] if fn.scale.dim() > y.dim() else fn.scale, y)
    if isinstance(fn, NestedCategorical):
        return ClassPosterior(block, line, fn.signs, y)
    return ClassPosterior(block, line, torch.tensor([[-1.0], [1.0]]).to(loc), y)


def _check(part: LabelPart, y: Tensor) -> None:
    num_classes = num_classes_of(part.distribution)
    wrong = is_wrong(y, num_classes)
    if wrong.any():
        place = wrong.nonzero()[0]
        *rows, column = place.tolist()
        wanted = ", ".join(str(i) for i in range(min(num_classes, 3))) or "a finite number"
        wanted += f", ... {num_classes - 1}" if num_classes > 3 else ""
        if part.columns is not None:
            column = int(part.columns[column])
        raise ValueError(
            f"row {', '.join(map(str, rows))}, column {column} of 'y' is {y[tuple(place)]:g}: "
            f"wanted {wanted}, or NaN where it is missing"
        )
