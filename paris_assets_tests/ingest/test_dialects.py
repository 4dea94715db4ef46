"""CSV and TSV as programs write them: the right fields, or an error that names the shape."""

from __future__ import annotations

import csv
import io

import pytest

from paris_assets.ingest.lists import delimited, text_tables
from paris_assets.ingest.lists.columns import SourceError

ONE, TWO, THREE = (f"http://a.example/{number}.jpg" for number in (1, 2, 3))
Rows = list[tuple[str | None, ...] | None]


def _read(content: str, kind: str = "csv") -> Rows:
    handle = io.BytesIO(content.encode())
    layout = text_tables.layout_of(handle, "l", kind)
    parsed = [text_tables.parse(record.decode(), layout) for record in text_tables.records(handle, "l", layout)]
    return [None if row is None else (row.get("url"), row.get("text", row.get("caption"))) for row in parsed]


@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t"])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_what_separates_fields_is_found(delimiter: str, header: bool, newline: str) -> None:
    texts = ["a red bicycle here", "a cat, on; a | roof", 'says "hi"', "two\nlines"]
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, lineterminator=newline)
    writer.writerows([["url", "caption"]] if header else [])
    writer.writerows([ONE, text] for text in texts)
    assert _read(file.getvalue()) == [(ONE, text) for text in texts]


@pytest.mark.parametrize(
    ("kind", "content", "rows"),
    [
        ("csv", f"sep=;\r\nurl;caption\r\n{ONE};a, b\r\n", [(ONE, "a, b")]),  # Excel
        ("csv", f'\ufeff"sep=;"\r\nurl;caption\r\n{ONE};"a; b"\r\n', [(ONE, "a; b")]),
        ("csv", f'url,text\n{ONE},"a \\"red\\" one, here"\n{TWO},"at its end \\""\n{THREE},"C:\\\\new\\dir"\n',
         [(ONE, 'a "red" one, here'), (TWO, 'at its end "'), (THREE, "C:\\new\\dir")]),  # Spark
        ("csv", f'url,text\n{ONE},"C:\\dir\\"\n{TWO},"a ""b"""\n', [(ONE, "C:\\dir\\"), (TWO, 'a "b"')]),  # RFC 4180
        ("csv", f'"{ONE}",\\N\n"{TWO}","a \\"b\\" \\\\ c"\n', [(ONE, None), (TWO, 'a "b" \\ c')]),  # MySQL
        ("tsv", f"{ONE}\t\\N\n{TWO}\ta\\tb\\nc \\\\ d\n{THREE}\tx\\\ny\n",
         [(ONE, None), (TWO, "a\tb\nc \\ d"), (THREE, "x\ny")]),
        ("tsv", f"url\ttext\n{ONE}\tC:\\new\\table\n", [(ONE, "C:\\new\\table")]),
        ("csv", f',url,caption\n0,{ONE},a b\n1,{TWO},"two\nlines ""q"""\n', [(ONE, "a b"), (TWO, 'two\nlines "q"')]),
        ("tsv", f'url\tcaption\n{ONE}\ta b\n{TWO}\t"two\nlines ""q"""\n', [(ONE, "a b"), (TWO, 'two\nlines "q"')]),
        ("tsv", f'url\tcaption\n{ONE}\t"quoted"\n{TWO}\t"odd\n', [(ONE, '"quoted"'), (TWO, '"odd')]),
        ("csv", f"17,{ONE},a red bicycle\n18,{TWO},cat\n", [(ONE, "a red bicycle"), (TWO, "cat")]),
        ("csv", f"# made by hand\nurl,caption\n{ONE},a b\n", [(ONE, "a b")]),
        ("tsv", f"#url\tcaption\n{ONE}\ta b\n", [(ONE, "a b")]),
        ("csv", f"{ONE}\n{TWO}\n", [(ONE, None), (TWO, None)]),
        ("csv", "http://a.example/x,y.jpg\nhttp://a.example/z.jpg\n",
         [("http://a.example/x,y.jpg", None), ("http://a.example/z.jpg", None)]),
        ("txt", f"{ONE}\r\n\r\n{TWO}", [(ONE, None), (TWO, None)]),  # as img2dataset takes them
        ("txt", "http://a.example/a,b;c|d.jpg\n", [("http://a.example/a,b;c|d.jpg", None)]),
        ("txt", f"{ONE}\tsome words\n{TWO}\n", [(ONE, "some words"), (TWO, None)]),
        ("csv", f'url, text\n{ONE}, "a, b"\n{TWO}, "a ""red"" one,\non two lines"\n{THREE}, plain\n',
         [(ONE, "a, b"), (TWO, 'a "red" one,\non two lines'), (THREE, "plain")]),  # by hand
        ("csv", f'url,text\n{ONE},"first\n\\"second\\" line"\n{TWO},b\n', [(ONE, 'first\n"second" line'), (TWO, "b")]),
        ("csv", f"url,text\n{ONE},'tis a dog\n{TWO},a cat\n", [(ONE, "'tis a dog"), (TWO, "a cat")]),
        ("csv", f"url,text\n{ONE},a,b\n{TWO}\n{THREE},c,,\n", [None, (TWO, None), (THREE, "c")]),
    ],
)  # fmt: skip
def test_lists_as_programs_write_them(kind: str, content: str, rows: Rows) -> None:
    assert _read(content, kind) == rows


@pytest.mark.parametrize("text", ["x" * 200_000, 'say "x", ' * 30_000, "line\n" * 60_000])
def test_long_fields_are_read_and_the_limit_of_the_process_stays(text: str) -> None:
    file, before = io.StringIO(), csv.field_size_limit()
    csv.writer(file, lineterminator="\n").writerows([["url", "text"], [ONE, text], [TWO, "b"]])
    assert _read(file.getvalue()) == [(ONE, text), (TWO, "b")]
    assert csv.field_size_limit() == before


def test_escapes_that_the_first_mib_does_not_show() -> None:
    content = f"url,text\n{ONE},plain\n" + f'{TWO},"x, \\"y\\""\n{THREE},z\n'
    dialect = delimited.Dialect(",", ("url", "text"))
    found = [
        delimited.fields(record.decode(), dialect)
        for record in delimited.records(io.BytesIO(content.encode()), "l", dialect)
    ]
    assert found == [[ONE, "plain"], [TWO, 'x, "y"'], [THREE, "z"]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f"url,caption\n1,{ONE},a b\n2,{TWO},c\n", ["names 2 columns", "rows have 3"]),  # R's row names
        (f"url,caption,caption\n{ONE},a,b\n", ["more than one column 'caption'"]),
        (f"'url','caption'\n'{ONE}','a b'\n", ["single quotes"]),
        (f"url,caption\n{ONE},'a b'\n{TWO},'c'\n", ["single quotes"]),
        (f"url,caption\n{ONE},'a, b'\n{TWO},'c, d'\n", ["single quotes"]),
        (f"{ONE} foo bar\n{TWO} bar baz\n", ["no header", "names of the columns"]),
        (f"url,text\r{ONE},a\r", [r"end in \n"]),
    ],
)
def test_what_cannot_be_read_is_named(content: str, words: list[str]) -> None:
    with pytest.raises(SourceError) as caught:
        _read(content)
    assert all(word in str(caught.value) for word in ["l", *words])


def test_what_is_not_plain_is_said() -> None:
    layout = text_tables.layout_of(io.BytesIO(f"{ONE};a b\n{TWO};c, d\n".encode()), "l", "csv")
    assert layout.said() == "fields separated by ';'; no header: columns are taken as url, text"
    assert text_tables.Layout.from_json(layout.to_json()) == layout
    plain = text_tables.layout_of(io.BytesIO(f"url,text\n{ONE},a b\n".encode()), "l", "csv")
    assert plain.said() == ""
