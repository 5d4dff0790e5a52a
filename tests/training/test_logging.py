"""The history of a run, as files."""

import pytest
from helpers import rows_of

from ccvae_pyro.training.logging import HistoryLog

HISTORY = [{"epoch": i, "loss": 1.0 / i, "seconds": 1.0} for i in (1, 2, 3)]


def test_a_history_without_and_with_metrics_is_one_table(tmp_path):
    with HistoryLog(tmp_path) as log:
        log.write([HISTORY[0], HISTORY[1] | {"accuracy": 0.5}])
    assert [row["accuracy"] for row in rows_of(tmp_path / "history.csv")] == ["", "0.5"]


def test_a_run_has_one_file_of_tensorboard_and_a_resumed_one_tells_all(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with HistoryLog(tmp_path) as log:
        for num_epochs in (0, 1, 1, 2):
            log.write(HISTORY[:num_epochs])
    assert len([*(tmp_path / "tensorboard").iterdir()]) == 1
    with HistoryLog(tmp_path) as log:
        log.write(HISTORY)
    assert len([*(tmp_path / "tensorboard").iterdir()]) == 2
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in board.Scalars("loss")] == [1, 2, 3]
