"""A fixture that several tests of figures share."""

from collections.abc import Callable

import pytest
from matplotlib.figure import Figure


@pytest.fixture
def texts() -> Callable[[Figure], list[str]]:
    """All texts of a figure."""

    def texts_of(figure: Figure) -> list[str]:
        figure.canvas.draw()
        texts = []
        for axes in figure.axes:
            texts += [axes.get_title(), axes.get_ylabel(), axes.get_xlabel()]
            texts += [t.get_text() for t in axes.texts]
            texts += [t.get_text() for t in (*axes.get_yticklabels(), *axes.get_xticklabels())]
        return [text for text in texts if text]

    return texts_of
