"""A CSV whose empty cells are filled in."""

from dataclasses import replace

import numpy as np
import pytest

from ccvae_pyro.data import LabeledImages, write_imputed
from ccvae_pyro.labels import Binary, Categorical, Continuous, Ordinal

CSV = """file,hair,part,glasses,age
a.png,red,,YES,30
b.png,,train,,NaN
c.png,black,test,no,
d.png,,,,
"""


FILES = ("a.png", "b.png", "c.png", "d.png")
VALUES = np.array([[0, 0, 0], [1, 1, 41.25], [1, 1, 1234567], [1, 1, 1]])
CONFIDENCE = np.array([[0, 0, 0], [0.75, 0.123456, 2], [0, 0, 12.5], [1, 1, 1]])


def impute(tmp_path, data, text, **options):
    """What is written for a CSV, and the number of cells that were filled in."""
    (tmp_path / "labels.csv").write_bytes(text.encode())
    num_filled = write_imputed(
        tmp_path / "labels.csv", tmp_path, data, VALUES, CONFIDENCE, **options
    )
    return (tmp_path / "imputed.csv").read_bytes().decode(), num_filled


@pytest.fixture
def data():
    """The labels of the CSV; the last image is unreadable."""
    nan = np.nan
    labels = np.array([[1, 1, 30], [nan, nan, nan], [0, 0, nan], [nan, nan, nan]], np.float32)
    label_types = (Categorical("hair", ("black", "red")), Binary("glasses"), Continuous("age"))
    splits = {"train": np.array([0, 1]), "valid": np.array([], int), "test": np.array([2])}
    return LabeledImages(
        np.zeros((4, 1, 1, 1), np.uint8), labels, label_types, splits, files=FILES
    )


def test_empty_cells_are_filled_in_spelled_like_the_others(tmp_path, data):
    (tmp_path / "labels.csv").write_text(CSV)
    num_filled = write_imputed(tmp_path / "labels.csv", tmp_path, data, VALUES, CONFIDENCE)
    assert num_filled == 4
    assert (tmp_path / "imputed.csv").read_text().split() == [
        "file,hair,part,glasses,age",
        "a.png,red,,YES,30",
        "b.png,red,train,YES,41.25",
        "c.png,black,test,no,1234567",
        "d.png,,,,",
    ]
    assert (tmp_path / "confidence.csv").read_text().split() == [
        "file,hair,part,glasses,age",
        "a.png,,,,",
        "b.png,0.75,,0.1235,2",
        "c.png,,,,12.5",
        "d.png,,,,",
    ]


def test_a_class_that_the_csv_does_not_have_is_written_by_its_name(tmp_path, data):
    (tmp_path / "labels.csv").write_text(CSV.replace("black", ""))
    data.labels[2, 0] = np.nan
    zeros = np.zeros((4, 3))
    write_imputed(tmp_path / "labels.csv", tmp_path, data, zeros, zeros)
    assert (tmp_path / "imputed.csv").read_text().split()[3] == "c.png,black,test,no,0"


def test_predictions_follow_the_files_if_the_rows_were_reordered_while_training(tmp_path, data):
    header, *rows = CSV.splitlines()
    text, num_filled = impute(tmp_path, data, "\n".join([header, *reversed(rows)]))
    assert num_filled == 4
    assert text.splitlines()[1:] == [
        "d.png,,,,",
        "c.png,black,test,no,1234567",
        "b.png,red,train,YES,41.25",
        "a.png,red,,YES,30",
    ]


def test_what_a_changed_csv_shares_with_the_data_is_filled_in(tmp_path, data, capsys):
    text = CSV.replace("a.png,red,,YES,30\n", "").replace("c.png,black", "./c.png,")
    text, num_filled = impute(tmp_path, data, text + "e.png,,,,\n")
    assert num_filled == 5
    assert text.splitlines()[1:] == [
        "b.png,red,train,true,41.25",
        "./c.png,red,test,no,1234567",
        "d.png,,,,",
        "e.png,,,,",
    ]
    assert "1 rows are new and not filled in, 1 are gone\n" in capsys.readouterr().out


def test_a_column_that_is_gone_is_said(tmp_path, data, capsys):
    text, num_filled = impute(tmp_path, data, CSV.replace("hair", "color"))
    assert num_filled == 3
    assert text.splitlines()[2] == "b.png,,train,YES,41.25"
    assert "0 are gone, and so is column hair\n" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "file,x\na.png\n"], ids=["empty", "invalid"])
def test_nothing_is_lost_if_the_csv_cannot_be_read_any_more(tmp_path, data, capsys, text):
    text, num_filled = impute(tmp_path, data, text)
    assert num_filled == 4
    assert text.splitlines() == [
        "file,hair,glasses,age",
        "a.png,red,true,30",
        "b.png,red,true,41.25",
        "c.png,black,false,1234567",
        "d.png,,,",
    ]
    assert "imputed.csv has the labels as they were loaded" in capsys.readouterr().out


def test_a_csv_that_is_gone_is_no_loss_either(tmp_path, data, capsys):
    assert write_imputed(tmp_path / "no.csv", tmp_path, data, VALUES, CONFIDENCE) == 4
    assert "no.csv, does not exist; imputed.csv has" in capsys.readouterr().out


def test_all_spellings_of_missing_are_filled_in_where_an_image_is_readable(tmp_path, data):
    text = CSV.replace("b.png,,", "b.png,?,").replace("NaN", "NA").replace("d.png,,", "d.png,NA,")
    text, _ = impute(tmp_path, data, text)
    assert text.splitlines()[2:] == [
        "b.png,red,train,YES,41.25",
        "c.png,black,test,no,1234567",
        "d.png,NA,,,",
    ]


def test_missing_values_may_be_chosen(tmp_path, data):
    text = CSV.replace("NaN", "-9").replace("no,", "no,NA")
    options = {"missing_values": ["-9"], "keep_values": ["NA"]}
    text, num_filled = impute(tmp_path, data, text, **options)
    assert num_filled == 3
    assert text.splitlines()[2:4] == ["b.png,red,train,YES,41.25", "c.png,black,test,no,NA"]


def test_the_csv_is_written_as_excel_wrote_it(tmp_path, data):
    given = CSV.replace(",30", ",30.5").replace(",", ";").replace("30.5", "30,5")
    text, _ = impute(tmp_path, data, "\ufeff" + given.replace("\n", "\r\n"))
    assert text.split("\r\n") == [
        "\ufefffile;hair;part;glasses;age",
        "a.png;red;;YES;30,5",
        "b.png;red;train;YES;41,25",
        "c.png;black;test;no;1234567",
        "d.png;;;;",
        "",
    ]
    confidence = (tmp_path / "confidence.csv").read_bytes().decode().split("\r\n")
    assert confidence[2:4] == ["b.png;0,75;;0,1235;2", "c.png;;;;12,5"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_excels_unicode_text_is_read_and_written(tmp_path, data, encoding):
    given = CSV.replace("red", "röd").replace(",", "\t").replace("\n", "\r\n")
    mark = "\ufeff" * (encoding == "utf-16-be")
    (tmp_path / "labels.txt").write_bytes((mark + given).encode(encoding))
    hair = Categorical("hair", ("black", "röd"))
    data = replace(data, label_types=(hair, *data.label_types[1:]))
    assert write_imputed(tmp_path / "labels.txt", tmp_path, data, VALUES, CONFIDENCE) == 4
    content = (tmp_path / "imputed.csv").read_bytes()
    assert content[:2] in (b"\xff\xfe", b"\xfe\xff")
    assert content.decode("utf-16").split("\r\n")[1:3] == [
        "a.png\tröd\t\tYES\t30",
        "b.png\tröd\ttrain\tYES\t41.25",
    ]


def test_numbers_have_the_digits_that_their_spread_has(tmp_path, data):
    data.labels[:, 2] = [0.0301, 0.0302, np.nan, np.nan]
    values = VALUES.copy()
    values[2, 2] = 0.030153286
    (tmp_path / "labels.csv").write_text(CSV.replace("NaN", "0.0302").replace(",30", ",0.0301"))
    write_imputed(tmp_path / "labels.csv", tmp_path, data, values, CONFIDENCE)
    assert (tmp_path / "imputed.csv").read_text().split()[3] == "c.png,black,test,no,0.03015329"


@pytest.mark.parametrize(
    ("files", "values", "message"),
    [
        ((), VALUES, "data has no names of files"),
        (FILES, VALUES[:3], r"of shape \(4, 3\), got \(3, 3\) and \(4, 3\)"),
    ],
)
def test_predictions_that_belong_to_no_row_are_an_error(tmp_path, data, files, values, message):
    (tmp_path / "labels.csv").write_text(CSV)
    data = replace(data, files=files)
    with pytest.raises(ValueError, match=message):
        write_imputed(tmp_path / "labels.csv", tmp_path, data, values, CONFIDENCE)
    assert not (tmp_path / "imputed.csv").exists()


def test_images_that_the_csv_does_not_list_have_rows_below(tmp_path, data):
    data = replace(data, splits={**data.splits, "train": np.array([0, 1, 3])})
    csv = "id,hair,glasses,image,age\n7,red,YES,a.png,30\n8,black,no,c.png,NA\n"
    text, num_filled = impute(tmp_path, data, csv)
    assert num_filled == 1 + 2 * 3
    assert text.split() == [
        "id,hair,glasses,image,age",
        "7,red,YES,a.png,30",
        "8,black,no,c.png,1234567",
        ",red,YES,b.png,41.25",
        ",red,YES,d.png,1",
    ]
    assert (tmp_path / "confidence.csv").read_text().split() == [
        "id,hair,glasses,image,age", ",,,a.png,", ",,,c.png,12.5", ",0.75,0.1235,b.png,2",
        ",1,1,d.png,1",
    ]  # fmt: skip


def test_ordinal_labels_are_written_by_the_names_of_their_classes(tmp_path, data):
    size = Ordinal("size", ("small", "mid", "large"))
    labels = np.array([[0], [np.nan], [2], [np.nan]], np.float32)
    data = replace(data, labels=labels, label_types=(size,))
    (tmp_path / "labels.csv").write_text("file,size\na.png,small\nb.png,\nc.png,large\nd.png,\n")
    values = np.array([[0.0], [1.0], [2.0], [2.0]])
    assert write_imputed(tmp_path / "labels.csv", tmp_path, data, values, values) == 1
    assert "b.png,mid\n" in (tmp_path / "imputed.csv").read_text()
