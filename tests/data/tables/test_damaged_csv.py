"""Damaged CSVs: each gives labels, or one clear line."""

import numpy as np
import pytest
from PIL import Image

from ccvae_pyro.data import load_image_csv, write_imputed

NUM_IMAGES, NUM_CSVS = 12, 200
CELLS = (
    "NA", "?", "-", "-1", "0", "01", "1E5", "1e400", "1_2", "12,5", "5%", "inf", "yes", "Yes",
    '"', "''", "<b>", "$x$", "", "\0", "\u0661", "\ufeff", "\r", "\n", "a\nb", "x" * 10_000,
    "=1+1", "../0.png", "/", ".", "C:\\0.png", "1700000000",
)  # fmt: skip


def make_csv():
    rows = [["file", "hair", "glasses", "age"]]
    for i in range(NUM_IMAGES):
        rows.append([f"{i}.png", ("black", "red")[i % 2], ("yes", "no", "")[i % 3], f"{20.5 + i}"])
    return rows


def change_cells(rng, rows):
    for _ in range(rng.integers(1, 4)):
        row = rows[rng.integers(len(rows))]
        if row:
            row[rng.integers(len(row))] = str(rng.choice(CELLS))


def change_column(rng, rows):
    column, cells = rng.integers(len(rows[0])), rng.choice(CELLS, size=2)
    for row in rows[rng.integers(2) :]:
        row[column] = str(rng.choice(cells))


def change_rows(rng, rows):
    row = int(rng.integers(len(rows)))
    change = rng.integers(5)
    if change == 0:
        del rows[row]
    elif change == 1:
        rows.append(list(rows[row]))
    elif change == 2:
        rows[row] = [""] * int(rng.integers(9))
    elif change == 3:
        del rows[row][rng.integers(len(rows[row])) :]
    else:
        rows[row] += ["", "more"][: rng.integers(1, 3)]


def change_bytes(rng, text):
    content = bytearray(text.encode())
    change = rng.integers(4)
    if change == 0:  # truncated
        del content[rng.integers(len(content)) :]
    elif change == 1:  # bits flipped
        for _ in range(rng.integers(1, 6)):
            content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    elif change == 2:  # characters exchanged
        old, new = (bytes([byte]) for byte in rng.choice(list(b',;\t\n"\r .'), size=2))
        content = bytearray(bytes(content).replace(old, new))
    else:  # a part twice, or in another encoding
        start = rng.integers(len(content))
        content[start:start] = content[: rng.integers(len(content))]
    return bytes(content)


def damaged_csv(seed):
    """The bytes of a CSV with up to three faults."""
    rng = np.random.default_rng(seed)
    rows, delimiter = make_csv(), rng.choice([",", ",", ";", "\t", "|"])
    changes = [change_cells, change_column, change_rows]
    for change in rng.permutation(changes)[: rng.integers(3)]:
        if change is not change_column or {len(row) for row in rows} == {4}:
            change(rng, rows)
    text = rng.choice(["", "\ufeff"]) + "\n".join(delimiter.join(row) for row in rows)
    if rng.random() < 0.6:
        return change_bytes(rng, text)
    return text.encode(rng.choice(["utf-8", "utf-8", "utf-16"]))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    for i in range(NUM_IMAGES):
        Image.new("L", (4, 4), i).save(root / f"{i}.png")
    return root


@pytest.mark.filterwarnings("error")
def test_a_damaged_csv_gives_labels_or_one_clear_line(root, tmp_path):
    num_read = 0
    path = tmp_path / "labels.csv"
    for seed in range(NUM_CSVS):
        path.write_bytes(damaged_csv(seed))
        try:
            data = load_image_csv(root, path, size=4)
        except (ValueError, FileNotFoundError) as error:
            message = str(error)
            assert str(path) in message, (seed, message)
            assert message.isprintable(), (seed, message)
            assert len(message) < 800, (seed, message)
            continue
        num_read += 1
        assert set(data.files) <= {f"{i}.png" for i in range(NUM_IMAGES)}, seed
        assert len(set(data.files)) == len(data.files), seed
        values = np.nan_to_num(data.labels)
        num_missing = np.isnan(data.labels).sum()
        assert write_imputed(path, tmp_path, data, values, values) == num_missing, seed
        again = load_image_csv(root, tmp_path / "imputed.csv", size=4, label_types={
            label.name: label for label in data.label_types
        })  # fmt: skip
        is_known = ~np.isnan(data.labels)
        assert np.array_equal(again.labels[is_known], data.labels[is_known]), seed
    assert 20 < num_read < NUM_CSVS - 20
