"""Names and texts of Python files, without running them."""

import ast
import io
import tokenize
from pathlib import Path

import pytest

import paris_assets
from paris_assets.dag.python_source import Source, bindings, free_names, normalised, read_source, statements

PACKAGE = Path(paris_assets.__file__).parent
LARGEST = sorted(PACKAGE.rglob("*.py"), key=lambda file: (-file.stat().st_size, str(file)))[:6]
LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING}


def source(text: str) -> Source:
    return Source(text.encode(), ast.parse(text))


def code(text: str) -> str:
    return normalised(source(text)).decode()


def counted_tokens(text: bytes) -> list[str]:
    """Python's own tokens, without layout, comments and lines that are one string."""
    tokens, line = list[str](), list[tokenize.TokenInfo]()
    for token in tokenize.tokenize(io.BytesIO(text).readline):
        if token.type in (tokenize.NEWLINE, tokenize.ENDMARKER):
            tokens += [each.string for each in line if {each.type for each in line} != {tokenize.STRING}]
            line = []
        elif token.type not in LAYOUT:
            line.append(token)
    return tokens


@pytest.mark.parametrize("file", LARGEST, ids=lambda file: file.name)
def test_only_comments_docstrings_and_layout_are_cut(file: Path) -> None:
    text = normalised(read_source(file)).replace(b"\0", b"\n")
    assert counted_tokens(text) == counted_tokens(file.read_bytes())
    assert not [token for token in tokenize.tokenize(io.BytesIO(text).readline) if token.type == tokenize.COMMENT]
    assert len(text) < len(file.read_bytes())


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('x = "# no comment"  # one', 'x = "# no comment"'),
        ("x = '\"'  # one '", "x = '\"'"),
        ('x = f"{y:#x} # {z!r}"  # one', 'x = f"{y:#x} # {z!r}"'),
        (r'x = "\"# kept"  # one', r'x = "\"# kept"'),
        ('x = (  # one\n    "a"  # two\n    "b"\n)', 'x = (\n    "a"\n    "b"\n)'),
        ('"""Umlaut: ä."""; x = 1', "; x = 1"),
        ('x = "ä"; "ä docstring"; y = "ö"', 'x = "ä"; ; y = "ö"'),
        ('def f():\n    r"""Doc\n\n    # of it."""\n\n    return 1', "def f():\n    return 1"),
        ('class A:\n    x: int = 1\n    """What x is."""', "class A:\n    x: int = 1"),
        ('x = """a \n\n  # kept\n"""  # one', 'x = """a \0\0  # kept\0"""'),
        ("x = '''a\"\"\"\n# kept'''", "x = '''a\"\"\"\0# kept'''"),
        ('x = ""  # ""', 'x = ""'),
    ],
)
def test_what_is_kept_of_a_text(text: str, kept: str) -> None:
    assert code(text) == kept


def test_blank_lines_within_a_string_count() -> None:
    assert code('x = """a\n\nb"""') != code('x = """a\nb"""')
    assert code('x = """a \nb"""') != code('x = """a\nb"""')


def test_line_endings_and_byte_order_mark_do_not_count(tmp_path: Path) -> None:
    text = b'"""Doc."""\nx = """a\nb"""\n\n\ndef f():\n    # why\n    return 1\n'
    (tmp_path / "unix.py").write_bytes(text)
    (tmp_path / "other.py").write_bytes(b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"))
    assert normalised(read_source(tmp_path / "unix.py")) == normalised(read_source(tmp_path / "other.py"))


def test_a_statement_is_taken_without_decorators_and_neighbours() -> None:
    found = source("@cache\ndef f(x: int) -> int:\n    'Doc.'\n    return x  # one\n\n\ny = 1")
    assert normalised(found, found.tree.body[0]) == b"def f(x: int) -> int:\n    return x"


def test_statements_within_every_kind_of_block_are_found() -> None:
    text = """
if a:
    import in_if
elif b:
    import in_elif
try:
    import in_try
except E:
    import in_except
else:
    import in_else
finally:
    import in_finally
match c:
    case 1:
        import in_case
class A:
    async def f(self):
        with x:
            for y in z:
                import in_method
if TYPE_CHECKING:
    import for_types
else:
    import at_run_time
if typing.TYPE_CHECKING:
    import for_types_too
"""
    tree = ast.parse(text)
    inner, outer = (
        [name for part in statements(tree.body, deep) for name, _ in bindings(part)] for deep in (True, False)
    )
    assert inner == [
        *("in_if", "in_elif", "in_try", "in_except", "in_else", "in_finally", "in_case"),
        *("A", "f", "y", "in_method", "at_run_time"),
    ]
    assert outer == ["in_if", "in_elif", "in_try", "in_except", "in_else", "in_finally", "in_case", "A", "at_run_time"]


@pytest.mark.parametrize(
    ("statement", "bound"),
    [
        ("import a.b", [("a", "a.b")]),
        ("import a.b as c, d", [("c", "a.b"), ("d", "d")]),
        ("from a.b import c as e, f", [("e", "a.b.c"), ("f", "a.b.f")]),
        ("x, (y, z[i]) = v", [("x", ""), ("y", "")]),
        ("x: int = v", [("x", "")]),
        ("def f(a): b = 1", [("f", "")]),
        ("print(x)", []),
    ],
)
def test_names_that_a_statement_binds(statement: str, bound: list[tuple[str, str]]) -> None:
    assert list(bindings(ast.parse(statement).body[0])) == bound


def test_names_from_around_a_function() -> None:
    text = """
@decorator
def f(a, b: Annotation = default, *c, d=keyword, **e) -> Result:
    from m import g as h
    local: Local = a.attribute + glob[index]
    def inner(x, shadowed):
        return x + shadowed + local + outer
    h(lambda y: y + free, [item for item in b], shadowed)
    return inner
"""
    assert free_names(ast.parse(text).body[0]) == {"default", "keyword", "glob", "index", "outer", "free", "shadowed"}
