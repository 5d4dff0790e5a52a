"""The cells of a CSV, and the lines that they are in."""

import pytest

from ccvae_pyro.data.tables import find_partition, read_table


def read(tmp_path, text):
    (tmp_path / "labels.csv").write_bytes(text.encode())
    return read_table(tmp_path / "labels.csv")


def test_cells_are_stripped_and_blank_lines_are_counted_but_left_out(tmp_path):
    table = read(tmp_path, "\ufefffile,hair\r\n\r\n a.png , red\r\n   \r\nb.png,\r\n")
    assert table.files == ["a.png", "b.png"]
    assert table.names == ["hair"]
    assert table.cells["hair"].to_dict() == {3: "red", 5: ""}


def test_a_quoted_cell_may_have_commas_and_several_lines(tmp_path):
    table = read(tmp_path, 'file,note\na.png,"one, two\nthree"\nb.png,four\n')
    assert table.cells["note"].to_dict() == {3: "one, two\nthree", 4: "four"}


def test_cells_are_kept_as_they_are_written(tmp_path):
    cells = ["007", "1e3", "NA", "null", "True", "1_000", "nan"]
    rows = "\n".join(f"{i}.png,{cell}" for i, cell in enumerate(cells))
    assert read(tmp_path, f"file,x\n{rows}\n").cells["x"].tolist() == [*cells[:-1], ""]


def test_too_many_cells_are_an_error(tmp_path):
    with pytest.raises(ValueError, match="line 3: 4 cells, where the header has 2"):
        read(tmp_path, "file,x\na.png,1\nb.png,1,2,3\n")


def test_a_partition_can_be_given_by_the_number_of_a_column(tmp_path):
    table = read(tmp_path, "file,x,part\na.png,1,0\nb.png,0,Test\n")
    assert find_partition(table, "1") == (["train", "test"], "part")


def test_an_unknown_split_is_an_error_that_quotes_the_cell(tmp_path):
    table = read(tmp_path, "file,x,part\na.png,1,0\nb.png,0,3\n")
    with pytest.raises(ValueError, match="line 3: part is '3', which is not a split: wanted 0, 1"):
        find_partition(table, "part")
