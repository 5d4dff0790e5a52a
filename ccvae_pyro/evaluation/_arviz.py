"""The differences between ArviZ before version 1 and since, in one place."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ccvae_pyro.data.names import shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_HEIGHT = 100  # inches


def inference_data(
    groups: dict[str, dict[str, np.ndarray]],
    dims: dict[str, list[str]],
    coords: dict[str, list[str]],
) -> Any:
    """ArviZ's container: ``InferenceData`` before version 1, a ``DataTree`` since.

    :param groups: arrays by the names of their group and variable. Samples have dimensions for
        chains and draws in front of those in ``dims``.
    """
    arviz = _arviz()
    if _is_before_version_1(arviz):
        return arviz.from_dict(**groups, dims=dims, coords=coords)
    return arviz.from_dict(groups, dims=dims, coords=coords)


def pareto_k(log_weights: np.ndarray) -> np.ndarray:
    """The shape of the tail of each row of weights, shape ``(num_rows, num_samples)``."""
    arviz = _arviz()
    if _is_before_version_1(arviz):
        return np.asarray(arviz.psislw(log_weights)[1])
    from xarray import DataArray

    # Since version 1, ArviZ expects log-likelihoods: leave-one-out log-weights are minus these.
    log_likelihoods = DataArray(-log_weights, dims=["row", "draw"])
    return np.asarray(log_likelihoods.azstats.psislw(dim="draw")[1])


def plot_forest(data: Any) -> Figure:
    """Intervals of every variable in the group ``posterior``."""
    import matplotlib.pyplot as plt
    from matplotlib.text import Text

    arviz = _arviz()
    figure: Figure
    if _is_before_version_1(arviz):
        figure = arviz.plot_forest(data, combined=True, hdi_prob=0.94)[0].figure
    else:
        figure = arviz.plot_forest(data, combined=True, backend="matplotlib").viz["figure"].item()
    # Names of labels are not formulas, and not longer than there is room for.
    for axes in figure.axes:
        names = [shortened(text.get_text()) for text in axes.get_yticklabels()]
        axes.set_yticks(axes.get_yticks(), names, parse_math=False)
    for text in figure.findobj(Text):
        text.set(parse_math=False, text=shortened(text.get_text()))
    figure.set_size_inches(10, min(figure.get_figheight(), MAX_HEIGHT))
    figure.set_layout_engine("constrained")  # otherwise the names of the labels are cut off
    plt.close(figure)  # the caller shows it
    return figure


def _arviz() -> Any:
    """ArviZ, imported on first use: that takes seconds, and some versions warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import arviz
    return arviz


def _is_before_version_1(arviz: Any) -> bool:
    return int(arviz.__version__.split(".")[0]) < 1
