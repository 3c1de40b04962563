import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vip_offline.dataset.tables.columns import Table
from vip_offline.dataset.tables.delimited import HEAD, read_delimited
from vip_offline.errors import VipOfflineError

NAN = float("nan")
KNOWN = {"t": [0.0, 0.1, 0.2], "x": [1.5, -2.25, 1e-3], "n": [7.0, 8.0, 9.0]}


def table(tmp_path: Path, text: str | bytes) -> Table:
    path = tmp_path / "log.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_delimited(path).finished()


def holds(read: Table, columns: dict[str, list[Any]]) -> None:
    assert list(read.columns) == list(columns)
    for name, values in columns.items():
        np.testing.assert_array_equal(read.columns[name], np.array(values))


def written(separator: str, decimal: str, **options: Any) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, **options)
    writer.writerow(KNOWN)
    for row in zip(*KNOWN.values(), strict=True):
        writer.writerow([repr(value).replace(".", decimal) for value in row])
    return text.getvalue()


@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("separator", "quoting"),
    [
        *((separator, csv.QUOTE_MINIMAL) for separator in ",;\t| "),
        *((separator, csv.QUOTE_ALL) for separator in ",;\t|"),
    ],
)
def test_one_table_in_every_dialect(
    tmp_path: Path, separator: str, decimal: str, ending: str, quoting: Any
) -> None:
    holds(
        table(tmp_path, written(separator, decimal, lineterminator=ending, quoting=quoting)), KNOWN
    )


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]
)
def test_encodings(tmp_path: Path, encoding: str) -> None:
    read = table(tmp_path, "Zeit;Höhe [µm]\n0,0;1,5\n0,1;2,5\n".encode(encoding))
    holds(read, {"Zeit": [0, 0.1], "Höhe [µm]": [1.5, 2.5]})
    assert any("Windows-1252" in note for note in read.notes) == (encoding == "cp1252")


FORMS: dict[str, tuple[str, dict[str, list[Any]], str]] = {
    "units": ("t,x\ns,m\n0,1.5\n1,2\n", {"t": [0, 1], "x": [1.5, 2]}, "line 2 holds units (s, m)"),
    "two lines of names": (
        "arm,arm\nx,y\n0,1.5\n1,2\n",
        {"arm.x": [0, 1], "arm.y": [1.5, 2]},
        "lines 1 and 2 together give the names",
    ),
    "name in two lines": (
        't,"Position\n[m]"\n0,1.5\n1,2\n',
        {"t": [0, 1], "Position [m]": [1.5, 2]},
        "",
    ),
    "arrays in two lines": (
        ',a\n0,"[ 0.1\n -0.3]"\n1,"[ 1.\n  3. ]"\n',
        {"c0": [0, 1], "a": [[0.1, -0.3], [1, 3]]},
        "column 1 has no name",
    ),
    "Excel's sep": ("sep=;\nt;x\n0;1\n", {"t": [0], "x": [1]}, ""),
    "index": (",x\n0,1\n1,2\n", {"c0": [0, 1], "x": [1, 2]}, "column 1 has no name"),
    "no names": ("0.0,1.5\n0.1,2.5\n", {"c0": [0, 0.1], "c1": [1.5, 2.5]}, "no line of names"),
    "no names, commas": ("1,5;2,5\n2,5;3,5\n", {"c0": [1.5, 2.5], "c1": [2.5, 3.5]}, "no line"),
    "savetxt": ("# t x\n0 1\n1 2\n", {"t": [0, 1], "x": [1, 2]}, "line 1, a comment, gives"),
    "comments": (
        "% by me\nt,x\n0,1\n# stop\n1,2\n",
        {"t": [0, 1], "x": [1, 2]},
        "1 comment line(s) among the rows",
    ),
    "blank lines": ("\n\nt,x\n0,1\n\n1,2\n\n\n", {"t": [0, 1], "x": [1, 2]}, "1 blank line(s)"),
    "preamble": (
        "Recorder 3.1\nDate: today\n\nt,x\n0,1\n1,2\n",
        {"t": [0, 1], "x": [1, 2]},
        "line 4 gives the names",
    ),
    "separator at all ends": ("t,x,\n0,1,\n1,2,\n", {"t": [0, 1], "x": [1, 2]}, ""),
    "separator at rows' ends": ("t,x\n0,1,\n1,2,\n", {"t": [0, 1], "x": [1, 2]}, ""),
    "empty rows": ("t;x\n0;1,5\n1;2,5\n;\n;\n", {"t": [0, 1], "x": [1.5, 2.5]}, "the last 2 row"),
    "fixed width": (
        "   t      x\n 0.0   1.50\n 0.1 -12.25\n",
        {"t": [0, 0.1], "x": [1.5, -12.25]},
        "",
    ),
    "blank cell": (
        "t,x\n0,1\n1,\n2,3\n",
        {"t": [0, 1, 2], "x": [1, NAN, 3]},
        "no number in line 3",
    ),
    "one name twice": ("x,x\n1,2\n", {"x": [1], "x.2": [2]}, "more than one column is called 'x'"),
    "spread": ("a_0,a[1],a.2\n1,2,3\n", {"a_0": [1], "a[1]": [2], "a.2": [3]}, ""),
    "lines in cells": ('t,a\n0,"[1\n 2]"\n1,"[3\n 4]"\n', {"t": [0, 1], "a": [[1, 2], [3, 4]]}, ""),
    "mostly blank": (
        "t,x,f\n0,1,\n1,2,\n2,3,4\n",
        {"t": [0, 1, 2], "x": [1, 2, 3], "f": [NAN, NAN, 4]},
        "line 2, line 3 (2 in all)",
    ),
    "a row of blank cells": (
        "t\tx\n0\t1\n\t\n2\t3\n",
        {"t": [0, NAN, 2], "x": [1, NAN, 3]},
        "column 't': no number in line 3",
    ),
    "pandas of an array": ("0,1\n0.5,1.5\n", {"0": [0.5], "1": [1.5]}, "line 1 counts the columns"),
    "with its index": (",0,1\n0,0.5,1.5\n", {"c0": [0], "0": [0.5], "1": [1.5]}, "line 1 counts"),
    "quoted names, spaces": ('"t" "x"\n0 1\n', {"t": [0], "x": [1]}, ""),
    "true": ("t,done\n0,False\n1,True\n", {"t": [0, 1], "done": [False, True]}, ""),
    "LabVIEW": (
        "LabVIEW Measurement\t\nDecimal_Separator\t,\n***End_of_Header***\t\n\t\nChannels\t1\t\n"
        "***End_of_Header***\t\nX_Value\tForce\tComment\n0,000\t1,5\t\n0,100\t2,5\n",
        {"X_Value": [0, 0.1], "Force": [1.5, 2.5]},
        "lines 1 to 6 are LabVIEW's header",
    ),
    "rostopic": (
        "%time,field.header.stamp,field.data0\n1764000000000000001,1764000000000000000,0.5\n"
        "1764000000100000001,1764000000100000000,1.5\n",
        {
            "time": [1764000000000000001, 1764000000100000001],
            "field.header.stamp": [1764000000000000000, 1764000000100000000],
            "field.data0": [0.5, 1.5],
        },
        "line 1, a comment, gives the names",
    ),
    "PlotJuggler": (
        "__time,/joint/0,/force\n1764000000.0,0.5,\n1764000000.1,,2\n",
        {"__time": [1764e6, 1764000000.1], "/joint/0": [0.5, NAN], "/force": [NAN, 2]},
        "column '/joint/0': no number in line 3 (1 in all)",
    ),
    "ROS stamps in two columns": (
        "header.stamp.secs,header.stamp.nsecs,x\n5,0,1\n5,500000000,2\n",
        {
            "header.stamp.secs": [5, 5],
            "header.stamp.nsecs": [0, 5e8],
            "x": [1, 2],
            "header.stamp": [5, 5.5],
        },
        "column 'header.stamp': from",
    ),
    "German Excel": (
        "Zeit [s];Kraft [N];gültig\r\n01.01.2026 12:00:00,5;1.234,5;WAHR\r\n"
        "01.01.2026 12:00:01,0;0,5;FALSCH\r\n",
        {
            "Zeit [s]": [1767268800.5, 1767268801],
            "Kraft [N]": [1234.5, 0.5],
            "gültig": [True, False],
        },
        "column 'Kraft [N]': decimal commas",
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_forms_that_people_have(tmp_path: Path, name: str) -> None:
    text, columns, note = FORMS[name]
    read = table(tmp_path, text)
    holds(read, columns)
    assert any(note in text for text in read.notes) if note else not read.notes


BAD: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "log.csv: needs a line of names and one line per row"),
    "names only": ("t,x\n", "needs a line of names"),
    "short line": ("t,x\n0,1\n1\n", "line 3: has 1 cells, the first line names 2"),
    "short after comment": ("t,x\n# a\n0,1\n1\n", "line 4: has 1 cells, the first line names 2"),
    "long line": ("# a\nt,x\n0,1\n1,2,3\n", "line 4: has 3 cells, line 2 names 2"),
    "commas both": ("t,x\n0,1,5\n0,2,5\n", "line 2: has 3 cells, line 1 before it 2"),
    "headings": ("a,b\nc,d\ne,f\n0,1\n", "lines 1 to 3 hold no numbers; which of them gives"),
    "decimal commas alone": ("1,966\n-0,5\n", "line 1: '1,966' may be several cells or one number"),
    "word": ("t,x\n0,1\n1,abc\n2,3\n", "line 3, column 'x': 'abc' is no number"),
    "thousands": ('x\n"1,234"\n', "line 2, column 'x': '1,234' may be 1234 or 1.234"),
    "two dots": ("x;y\n1.234;1,5\n", "line 2, column 'x': '1.234' may be 1234 or 1.234"),
    "binary": (b"PK\x03\x04\0\0\0", "is no table of text. Save it as CSV"),
}


@pytest.mark.parametrize("name", BAD)
def test_tables_that_are_refused(tmp_path: Path, name: str) -> None:
    text, message = BAD[name]
    with pytest.raises(VipOfflineError, match=message):
        table(tmp_path, text)


def test_words_and_the_task(tmp_path: Path) -> None:
    read = table(tmp_path, "t,phase,task\n0,reach,pick it\n1,grasp,pick it\n")
    assert (read.left_out, read.values) == ({"phase": "words"}, {"task": "pick it"})


def test_files_of_words(tmp_path: Path) -> None:
    for name, text, values in (
        ("notes.txt", "Trial 3, went well.\n\nThe gripper slipped; 2 restarts.\nSee video.\n", {}),
        ("task.txt", "pick up the 2 cubes\n", {"task": "pick up the 2 cubes"}),
    ):
        (tmp_path / name).write_text(text)
        read = read_delimited(tmp_path / name).finished()
        assert (read.columns, read.values) == ({}, values)
        assert read.left_out == ({} if values else {"notes": "words"})


def test_units_of_columns(tmp_path: Path) -> None:
    assert table(tmp_path, "t [ms],a[0],f (N)\n0,1,2\n").units == {"t [ms]": "ms", "f (N)": "N"}
    assert table(tmp_path, "t;x\n[s];-\n0;1\n").units == {"t": "s", "x": "-"}
    assert table(tmp_path, "t,x\ns,m\n0,1\n").notes == ["line 2 holds units (s, m)"]


def test_files_longer_than_what_tells_their_dialect(tmp_path: Path) -> None:
    rows = np.arange(HEAD // 8)
    text = "t;x\n" + "".join(f"{row};{row / 2}\n".replace(".", ",") for row in rows)
    holds(table(tmp_path, text), {"t": rows.tolist(), "x": (rows / 2).tolist()})
    with pytest.raises(VipOfflineError, match=f"line {len(rows) + 2}: has 1 cells"):
        table(tmp_path, text + "7\n")
