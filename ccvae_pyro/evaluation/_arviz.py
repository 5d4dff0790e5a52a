"""The one place that knows how ArviZ before version 1 differs from ArviZ since."""

from __future__ import annotations

import warnings
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure


def inference_data(
    groups: dict[str, dict[str, np.ndarray]], dims: dict[str, list[str]], coords: dict[str, list]
) -> Any:
    """ArviZ's container: ``InferenceData`` before version 1, a ``DataTree`` since.

    :param groups: arrays by the name of their group and their own; draws have a chain and a draw
        dimension in front of those in ``dims``.
    """
    arviz = _arviz()
    if _is_old(arviz):
        return arviz.from_dict(**groups, dims=dims, coords=coords)
    return arviz.from_dict(groups, dims=dims, coords=coords)


def pareto_k(log_weights: np.ndarray) -> np.ndarray:
    """The shape of the tail of each row of weights, shape ``(num_rows, num_draws)``."""
    arviz = _arviz()
    if _is_old(arviz):
        return np.asarray(arviz.psislw(log_weights)[1])
    from xarray import DataArray

    # Since version 1 it takes log-likelihoods, whose negative is a leave-one-out weight.
    rows = DataArray(-log_weights, dims=["row", "draw"])
    return np.asarray(rows.azstats.psislw(dim="draw")[1])


def plot_forest(data: Any) -> Figure:
    """Intervals of every variable in the group ``posterior``."""
    arviz = _arviz()
    if _is_old(arviz):
        figure = arviz.plot_forest(data, combined=True, hdi_prob=0.94)[0].figure
    else:
        figure = arviz.plot_forest(data, combined=True, backend="matplotlib").viz["figure"].item()
    figure.set_layout_engine("constrained")  # or the names of the labels are cut off
    plt.close(figure)  # it is the caller's to show
    return figure


def _arviz() -> Any:
    """Imported when it is asked for: it takes seconds, and some versions warn as they load."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import arviz
    return arviz


def _is_old(arviz: Any) -> bool:
    return int(arviz.__version__.split(".")[0]) < 1
