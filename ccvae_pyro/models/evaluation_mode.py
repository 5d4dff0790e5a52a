"""Evaluation mode: functions of a trained model neither depend on its mode nor change it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
from torch import nn

P = ParamSpec("P")
T = TypeVar("T")


@contextmanager
def evaluating(*modules: nn.Module) -> Iterator[None]:
    """Puts modules into evaluation mode; each of their parts has its own mode back after it.

    In training mode batch normalization predicts an image's labels from its neighbors, and each
    call moves its statistics.

    Example:

        >>> network = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout().eval())
        >>> with evaluating(network):
        ...     network.training
        False
        >>> [part.training for part in network]
        [True, False]
    """
    parts = [part for module in modules for part in module.modules() if part.training]
    for part in parts:
        part.training = False
    try:
        yield
    finally:
        for part in parts:
            part.training = True


def evaluation(function: Callable[P, T]) -> Callable[P, T]:
    """A function that runs without gradients, its models in evaluation mode: a decorator."""

    @wraps(function)
    def evaluated(*args: P.args, **kwargs: P.kwargs) -> T:
        given = (*args, *kwargs.values())
        modules = [argument for argument in given if isinstance(argument, nn.Module)]
        with torch.no_grad(), evaluating(*modules):
            return function(*args, **kwargs)

    return evaluated
