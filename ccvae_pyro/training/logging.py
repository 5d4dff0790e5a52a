"""The history of a run: a row for each epoch, as CSV and, where installed, in TensorBoard."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ccvae_pyro.data.files import atomic_write
from ccvae_pyro.training.run_folder import HISTORY


class HistoryLog:
    """Writes the history of a run to its folder, and to one file of TensorBoard's.

    A context manager, which closes that file.

    :param out: the folder of the run.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self._board: Any = None
        self._num_logged = 0

    def __enter__(self) -> HistoryLog:
        return self

    def __exit__(self, *error: object) -> None:
        if self._board is not None:
            self._board.close()

    def write(self, history: Sequence[dict[str, float]]) -> None:
        """Writes ``history.csv`` anew, so that it always agrees with the checkpoint beside it.

        If TensorBoard is installed, the epochs that are new are logged there too.
        """
        if not history:
            return
        columns = list(dict.fromkeys(name for record in history for name in record))
        with atomic_write(self.out / HISTORY) as part, part.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=columns)
            writer.writeheader()
            writer.writerows(history)
        if len(history) > self._num_logged and find_spec("tensorboard") is not None:
            self._log_to_tensorboard(history[self._num_logged :])
            self._num_logged = len(history)

    def _log_to_tensorboard(self, records: Sequence[dict[str, float]]) -> None:
        if self._board is None:
            from torch.utils.tensorboard import SummaryWriter

            # It takes the place of earlier files there: the history has their epochs too.
            self._board = SummaryWriter(self.out / "tensorboard", purge_step=0)
        for record in records:
            for name, value in record.items():
                if name != "epoch":
                    self._board.add_scalar(name, value, int(record["epoch"]))
        self._board.flush()
