"""Python files as they count for a version of code: their text without comments and docstrings, and the names in them.

Nothing is imported or run. Texts are cut by position and never printed from a syntax tree, so they are the same under
every Python that can read the file. Only absolute imports are understood, as the linter allows no others.
"""

from __future__ import annotations

import ast
import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path

_STRING_OR_COMMENT = re.compile(
    rb'"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"""'
    rb"|'''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'''"
    rb'|"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
    rb"|'[^'\\\n]*(?:\\.[^'\\\n]*)*'"
    rb"|#[^\n]*",
    re.DOTALL,
)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEFINITIONS = (*_FUNCTIONS, ast.ClassDef)
_BLOCKS = ("body", "handlers", "orelse", "finalbody", "cases")  # in the order of the text
_NOT_USED = {"annotation", "returns", "decorator_list"}


@dataclass(frozen=True)
class Source:
    """A Python file: UTF-8 text with line feeds, and its syntax tree."""

    text: bytes
    tree: ast.Module

    @cached_property
    def parts(self) -> list[ast.AST]:
        """Every statement of the file, and those within others, in order."""
        return list(statements(self.tree.body))


def read_source(file: Path) -> Source:
    """Read and parse a file.

    Raises:
        OSError: it cannot be read.
        SyntaxError: it is no Python.
    """
    text = file.read_bytes().removeprefix(BOM_UTF8).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return Source(text, ast.parse(text, filename=str(file)))


def statements(block: Iterable[ast.AST], definitions: bool = True) -> Iterator[ast.AST]:
    """Every statement of a block and of the blocks within it, in order; not those under ``if TYPE_CHECKING``.

    Args:
        definitions: whether to enter functions and classes.
    """
    for statement in block:
        yield statement
        if definitions or not isinstance(statement, _DEFINITIONS):
            for field in _BLOCKS:
                if field != "body" or not _for_types_only(statement):
                    yield from statements(getattr(statement, field, ()), definitions)


def bindings(statement: ast.AST) -> Iterator[tuple[str, str]]:
    """(name, dotted name of what it imports) of all names that a statement binds; (name, "") where it defines them."""
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            yield alias.asname or alias.name.partition(".")[0], alias.name
    elif isinstance(statement, ast.ImportFrom):
        for alias in statement.names:
            yield alias.asname or alias.name, f"{statement.module}.{alias.name}"
    elif isinstance(statement, _DEFINITIONS):
        yield statement.name, ""
    else:
        targets = [*getattr(statement, "targets", ()), getattr(statement, "target", None)]
        for node in (node for target in targets if isinstance(target, ast.AST) for node in ast.walk(target)):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id, ""


def free_names(node: ast.AST) -> set[str]:
    """Names that a definition takes from around it; its annotations and decorators do not count."""
    used, bound = set[str](), set[str]()
    open_nodes = list(_parts(node))
    while open_nodes:
        part = open_nodes.pop()
        if isinstance(part, ast.Name):
            (used if isinstance(part.ctx, ast.Load) else bound).add(part.id)
        elif isinstance(part, ast.arg):
            bound.add(part.arg)
        else:
            bound.update(name for name, _ in bindings(part))
        if isinstance(part, (*_FUNCTIONS, ast.Lambda)):
            used |= free_names(part)
        else:
            open_nodes.extend(_parts(part))
    return used - bound


def normalised(source: Source, statement: ast.stmt | None = None) -> bytes:
    """The text of a file or of one statement without comments, docstrings, blank lines and trailing space.

    Every statement that is a string alone is taken for a docstring, and decorators for no part of a statement. Line
    feeds within other strings become NUL, so that their blank lines stay.
    """
    starts = list(accumulate((len(line) + 1 for line in source.text.split(b"\n")), initial=0))

    def span(node: ast.stmt) -> tuple[int, int]:
        last_line, after = node.end_lineno or 0, node.end_col_offset or 0  # parsed nodes have both
        return starts[node.lineno - 1] + node.col_offset, starts[last_line - 1] + after

    at, end = span(statement) if statement else (0, len(source.text))
    pieces = []
    for part in statements([statement]) if statement else source.parts:
        if isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant) and isinstance(part.value.value, str):
            start, after = span(part)
            pieces.append(source.text[at:start])
            at = after
    code = _STRING_OR_COMMENT.sub(_as_it_counts, b"".join([*pieces, source.text[at:end]]))
    return b"\n".join(line.rstrip() for line in code.split(b"\n") if line.strip())


def _as_it_counts(match: re.Match[bytes]) -> bytes:
    return b"" if match[0].startswith(b"#") else match[0].replace(b"\n", b"\0")


def _parts(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes within a node that are evaluated where it is used."""
    for field, value in ast.iter_fields(node):
        if field not in _NOT_USED:
            yield from (part for part in (value if isinstance(value, list) else [value]) if isinstance(part, ast.AST))


def _for_types_only(statement: ast.AST) -> bool:
    condition = statement.test if isinstance(statement, ast.If) else None
    return "TYPE_CHECKING" in (getattr(condition, "id", ""), getattr(condition, "attr", ""))
