"""The cells of a CSV, and the lines that they are in."""

import pytest

from ccvae_pyro.data.tables import find_partition, read_table
from ccvae_pyro.data.tables.missing_values import MISSING_VALUES


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
    table = read(tmp_path, f"file,x\n{rows}\n")
    assert table.written["x"].tolist() == cells
    assert table.cells["x"].tolist() == ["007", "1e3", "", "", "True", "1_000", ""]
    assert table.missing(["x"]) == {"NA": 1, "null": 1, "nan": 1}


@pytest.mark.parametrize(
    "spelling",
    ["NA", "N/A", "n/a", "NaN", "nan", "None", "null", "NULL", "?", "-", "<NA>", "#N/A"],
)
def test_every_spelling_of_missing_is_missing(tmp_path, spelling):
    table = read(tmp_path, f"file,x\na.png,red\nb.png,{spelling}\n")
    assert table.cells["x"].tolist() == ["red", ""]


def test_the_list_of_missing_values_has_that_of_pandas():
    from pandas._libs.parsers import STR_NA_VALUES

    assert STR_NA_VALUES <= MISSING_VALUES


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_found(tmp_path, delimiter):
    text = f'"file"{delimiter}x{delimiter}"a, b; c"\na.png{delimiter}1{delimiter}"d;e,f"\n'
    table = read(tmp_path, text)
    assert table.names == ["x", "a, b; c"]
    assert table.cells.loc[2].tolist() == ["a.png", "1", "d;e,f"]
    assert table.dialect.delimiter == delimiter


def test_blank_rows_and_columns_at_the_end_are_left_out(tmp_path):
    table = read(tmp_path, "file,x,,\n,,,\na.png,1,,\nb.png,2,\nc.png,\n,,,\n")
    assert table.names == ["x"]
    assert table.cells["x"].to_dict() == {3: "1", 4: "2", 5: ""}


def test_names_are_one_line(tmp_path):
    assert read(tmp_path, 'file,"hair\n color"\na.png,1\n').names == ["hair color"]


def test_a_space_may_precede_a_quotation_mark(tmp_path):
    assert read(tmp_path, 'file, x\na.png, "red, dark"\n').cells["x"].tolist() == ["red, dark"]


def test_decimal_commas_are_read_where_commas_do_not_delimit(tmp_path):
    table = read(tmp_path, "file;x;y\na.png;12,5;red, dark\nb.png;-3,25;1\nc.png;7;\n")
    assert table.cells["x"].tolist() == ["12.5", "-3.25", "7"]
    assert table.cells["y"].tolist() == ["red, dark", "1", ""]
    assert table.decimal == ","
    assert table.written["x"].tolist() == ["12,5", "-3,25", "7"]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (("1,234", "12,500"), r"line 2: x is '1,234', and each mark .* write 1\.2340 or 1234"),
        (("1.234", "12.500"), r"line 2: x is '1\.234', and each mark"),
        (("12,5", "3.5"), r"line 2: x is '12,5', and in line 3 '3\.5': use either"),
    ],
)
def test_an_unclear_decimal_mark_is_a_question(tmp_path, cells, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, f"file;x\na.png;{cells[0]}\nb.png;{cells[1]}\n")


def test_points_with_three_digits_are_decimal_where_commas_delimit(tmp_path):
    assert read(tmp_path, "file,x\na.png,1.234\n").cells["x"].tolist() == ["1.234"]


def test_errors_quote_a_long_cell_in_one_short_line(tmp_path):
    table = read(tmp_path, f'file,part\na.png,"{"x" * 9000}\n{"y" * 900}"\n')
    with pytest.raises(
        ValueError, match=r"line 3: part is 'x{57}\.\.\.', which is not a split"
    ) as caught:
        find_partition(table, "part")
    assert len(str(caught.value)) < 400


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


FILES_LAST = ",x,photo\n0,1,./a.png\n1,0,b.png\n"


@pytest.mark.parametrize(
    "options",
    [{"is_file": {"a.png"}.__contains__}, {"file_column": "photo"}],
    ids=["found", "given"],
)
def test_files_may_be_in_any_column(tmp_path, options):
    (tmp_path / "labels.csv").write_text(FILES_LAST)
    table = read_table(tmp_path / "labels.csv", **options)
    assert table.file_column == "photo"
    assert table.files == ["a.png", "b.png"]
    assert table.names == ["x"]  # a column without a name numbers the rows
    assert table.written.columns.tolist() == ["", "x", "photo"]


def test_the_first_column_has_files_unless_none_is_there(tmp_path):
    (tmp_path / "labels.csv").write_text("file,mask\na.png,b.png\nc.png,d.png\n")
    for files in ({"a.png", "b.png", "d.png"}, set()):
        table = read_table(tmp_path / "labels.csv", is_file=files.__contains__)
        assert table.files == ["a.png", "c.png"]
    table = read_table(tmp_path / "labels.csv", is_file={"b.png"}.__contains__)
    assert table.files == ["b.png", "d.png"]
    with pytest.raises(ValueError, match=r"no column of .* is called 'masks': did you mean mask"):
        read_table(tmp_path / "labels.csv", file_column="masks")


def test_decimal_marks_are_looked_for_in_chosen_columns(tmp_path):
    (tmp_path / "labels.csv").write_text(
        "file;x;self;id\na.png;1,5;2,5;1,234\nb.png;2,5;3,5;2,345\n"
    )
    table = read_table(tmp_path / "labels.csv", columns=["x", "self"])
    assert table.cells["x"].tolist() == ["1.5", "2.5"]
    assert table.cells["id"].tolist() == ["1,234", "2,345"]
