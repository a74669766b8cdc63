"""Tables as people, spreadsheets and Windows write them, and what is said of others."""

import pytest

from data.tables import read_table
from util.errors import UserError

HEADER = "file,class,split,range_m"
LINES = ("train/a.png,T72,train,12.5", "test/b.png,BMP2,test,")


@pytest.fixture
def table(tmp_path):
    """table(content): the rows of labels.csv with this content, text or bytes."""

    def read(content: str | bytes, *, required: tuple[str, ...] = ("class",)):
        path = tmp_path / "labels.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return [line.row for line in read_table(path, required=required).lines]

    return read


PLAIN = "\n".join((HEADER, *LINES)) + "\n"


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.replace(",", ", "),
        PLAIN.replace(",", " , ").replace("\n", " \n"),
        PLAIN.replace(",", ";").replace("12.5", "12,5"),
        PLAIN.replace(",", "\t").replace("12.5", "12,5"),
        PLAIN.replace(",", " ; "),
        PLAIN.replace("file,class,split,range_m", "File,CLASS,Split,Range_M"),
        PLAIN.replace("train/a", "train\\a").replace("test/b", "test\\b"),
        PLAIN.replace("T72", '"T72"'),
        PLAIN.replace("T72", ' "T72" '),
        PLAIN.replace("\n", "\n\n").replace("file", "\n\nfile", 1) + ",,,\n \n",
        PLAIN.replace("\n", ",,\n"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        "sep=;\n" + PLAIN.replace(",", ";"),
        b"\xef\xbb\xbf" + PLAIN.encode(),
        PLAIN.replace(",", "\t").replace("\n", "\r\n").encode("utf-16"),
        b"\xfe\xff" + PLAIN.encode("utf-16-be"),
        PLAIN.rstrip("\n"),
    ],
    ids=[
        "blank after comma",
        "blanks around",
        "semicolon",
        "tab",
        "semicolon and blanks",
        "capitals",
        "backslashes",
        "quotes",
        "quotes and blanks",
        "blank lines",
        "empty columns",
        "CRLF",
        "CR",
        "sep=",
        "UTF-8 mark",
        "UTF-16 of Excel",
        "UTF-16 big-endian",
        "no last newline",
    ],
)
def test_what_a_person_reads_alike_is_read_alike(table, content):
    columns = HEADER.split(",")
    assert table(content) == [
        dict(zip(columns, line.split(","), strict=True)) for line in PLAIN.splitlines()[1:]
    ]


def test_a_file_is_absolute_and_relative_to_the_table(tmp_path):
    (tmp_path / "labels.csv").write_text("file\na/../b\\c.png\n")
    (line,) = read_table(tmp_path / "labels.csv").lines
    assert line.file == tmp_path / "b" / "c.png"
    assert line.place == f"{tmp_path / 'labels.csv'}, line 2"


def test_a_backslash_that_a_file_has_is_its_own(tmp_path):
    (tmp_path / "a\\b.png").touch()
    (tmp_path / "labels.csv").write_text("file\na\\b.png\na\\c.png\n")
    files = [line.file for line in read_table(tmp_path / "labels.csv").lines]
    assert files == [tmp_path / "a\\b.png", tmp_path / "a" / "c.png"]


def test_a_comma_is_a_decimal_point_in_numbers_of_such_tables_alone(table):
    (row,) = table("file;class;group;box_x;note\na.png;1,5;2,5;-3,25;1,2,3\n")
    assert (row["class"], row["group"], row["box_x"], row["note"]) == (
        "1,5",
        "2,5",
        "-3.25",
        "1,2,3",
    )
    assert table('file,class,box_x\na.png,T72,"3,25"\n')[0]["box_x"] == "3,25"


def test_quoted_cells_may_hold_anything(table):
    (row,) = table('file,class\n"a, ""b""\nc.png",T72\n')
    assert row["file"] == 'a, "b"\nc.png'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("name,class\na.png,T72\n", r"no column 'file': it has 'name', 'class'.*','"),
        ("file;clas;split\na.png;T72;x\n", r"no column 'class': .*';'\); 'clas' is near: rename"),
        ("File|Class\na.png|T72\n", r"no column 'file': it has 'file\|class'"),
        ("", r"no column 'file': it is empty"),
        ("\n\n", r"no column 'file': it is empty"),
        ("file,class,Class \na.png,T72,BMP2\n", r"two columns 'class'"),
        ("file,class\na.png,T72\nb,1.png,T72\n", r"line 3: there are 3 cells under 2 columns"),
        ("file,class\na.png,T72\nb.png;T72\n", r"line 3: cells are separated by ';', .* by ','"),
        ('file,class\na.png,T72\n"b.png,T72\nc.png,T72\n', r"line 3: a quotation mark is not"),
        (b"file,class\na.png,T72\ngr\xf6\xdfe.png,T72\n", r"line 3: this is no UTF-8 .*CSV"),
        (b"\xff\xfef\0i\0l\0e", r"no UTF-16 text"),
        ("file,class\na.png,T72\n".encode("utf-16-le"), r"line 1: this is no text"),
        (b"PK\x03\x04\x14\0", r"a spreadsheet's own file; save it as CSV"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_reason(tmp_path, table, content, words):
    with pytest.raises(UserError, match=words) as caught:
        table(content)
    assert str(tmp_path / "labels.csv") in str(caught.value)
