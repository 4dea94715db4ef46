"""The version of an asset's code: a hash of the modules that its worker is made of, found without importing any.

A body is made of its own source, of what it names in its own file, and of every module of this package that these
import, directly or through others. What is imported by a name in a string cannot be seen: the caller adds it.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType
from typing import NamedTuple

from paris_assets.dag.python_source import Source, bindings, free_names, normalised, read_source, statements

PACKAGE = "paris_assets"
NOT_FOLLOWED = (
    # What the settings say enters the fingerprint: a new setting elsewhere must not redo everything.
    "paris_assets.config",
    "paris_assets.profiles",
    "paris_assets.settings",
    # When and in which order assets are made, and how that is shown.
    "paris_assets.dag",
    "paris_assets.planning",
    "paris_assets.runs",
    # What stops an asset, or times it, writes nothing.
    "paris_assets.errors",
    "paris_assets.spent",
    # How bytes come and go, not which bytes.
    "paris_assets.demo",
    "paris_assets.storage.address",
    "paris_assets.storage.files",
    "paris_assets.storage.location",
    "paris_assets.storage.lock",
    "paris_assets.storage.object_store",
    "paris_assets.storage.ranges",
    "paris_assets.storage.s3",
    "paris_assets.storage.s3_credentials",
    # The list of all networks, and what is asked of any: the module of a network that is used counts.
    "paris_assets.models.protocols",
    "paris_assets.models.registry",
)
"""Modules, with all within them, whose import adds nothing to a version."""
FOLLOWED = ("paris_assets.dag.flow",)
"""Modules within these that count all the same: what they say is published."""
SCHEMA = ".schema"
"""Modules of tables: of these the columns and their types count, which the caller adds, and no description."""
TEMPLATES = ".jinja"


class _Module(NamedTuple):
    """What a module adds to a version, whether there is code in it, and the modules of the package that it imports."""

    sha256: str
    holds_code: bool
    imports: tuple[str, ...]


class _Body(NamedTuple):
    """What a body adds by itself: texts of its file that it is made of, and the modules that these import."""

    texts: tuple[bytes, ...]
    imports: tuple[str, ...]


def modules_of(body: Callable[..., object], also: Iterable[str] = ()) -> list[str]:
    """Dotted names, sorted, of this package's modules that an asset's function is made of.

    These are the modules that its imports lead to, within it or, for the names that it uses, at the top of its file,
    then all that they import; ``NOT_FOLLOWED`` (but for ``FOLLOWED``) and imports for types alone aside. A package
    counts where its ``__init__`` holds code. The module of the body is none of them: ``code_version`` takes from it
    what the body needs.

    Args:
        body: the function as written, not what a decorator made of it.
        also: modules that settings or registries name in strings.

    Raises:
        TypeError: the body is no plain function.
        ValueError: an import, or a name in ``also``, leads to no module of this package.
    """
    plain = _plain(body)
    return list(_closure(_root(plain), also, _read_body(plain).imports))


def code_version(body: Callable[..., object], also: Iterable[str] = ()) -> str:
    """16 hexadecimal digits that change when code does that may change what an asset writes.

    Comments, docstrings, blank lines and line endings do not count, nor do places and dates of files. A template
    ``*.jinja`` counts where it lies beside a module of ``modules_of`` that has its name in a string. Files are read
    once in a process, which runs what it loaded.

    Args:
        body: the function as written; only this function and what it names in its file count of that file.
        also: modules that settings or registries name in strings.

    Raises:
        TypeError: the body is no plain function.
        ValueError: an import, or a name in ``also``, leads to no module of this package.
        OSError: a module's source cannot be read.
    """
    return _version(_plain(body), tuple(also))


@cache
def _version(body: FunctionType, also: tuple[str, ...]) -> str:
    found, total = _read_body(body), hashlib.sha256()
    for text in found.texts:
        total.update(hashlib.sha256(text).digest())
    for name, module in _closure(_root(body), also, found.imports).items():
        total.update(f"{name} {module.sha256}\n".encode())
    return total.hexdigest()[:16]


def _plain(body: Callable[..., object]) -> FunctionType:
    if not isinstance(body, FunctionType):
        raise TypeError(f"{body!r} is no plain function: give the one that the decorator was given")
    return body


def _closure(root: Path, also: Iterable[str], imports: Iterable[str]) -> dict[str, _Module]:
    """Every module that holds code among these and those they lead to, sorted by name."""
    found: dict[str, _Module] = {}
    open_names = [*also, *_kept(imports)]
    for name in open_names:
        if _file(root, name) is None:
            raise ValueError(f"{name} is no module of {PACKAGE}: give its dotted name, as in an import")
    while open_names:
        name = open_names.pop()
        if name not in found:
            found[name] = _read_module(root, name)
            package = name.rpartition(".")[0]
            parents = [package] if package and _file(root, package) else []
            open_names.extend(_kept([*parents, *found[name].imports]))
    return {name: found[name] for name in sorted(found) if found[name].holds_code}


@cache
def _read_module(root: Path, name: str) -> _Module:
    file = _file(root, name)
    assert file is not None
    source = read_source(file)
    text = normalised(source)
    content = [text, *_templates(file, source)]
    digests = b"".join(hashlib.sha256(part).digest() for part in content)
    imports = [part for part in source.parts if isinstance(part, ast.Import | ast.ImportFrom)]
    dotted = [imported for part in imports for _, imported in bindings(part)]
    return _Module(hashlib.sha256(digests).hexdigest(), bool(text), _modules(root, dotted))


def _templates(file: Path, source: Source) -> list[bytes]:
    if TEMPLATES.encode() not in source.text:
        return []
    strings = {node.value for node in ast.walk(source.tree) if isinstance(node, ast.Constant)}
    beside = sorted(place for place in file.parent.glob(f"*{TEMPLATES}") if place.name in strings)
    return [template.read_bytes().replace(b"\r\n", b"\n") for template in beside]


def _read_body(body: FunctionType) -> _Body:
    """The body and all of its file that it names, in the order of the file; of imports, the names that are used."""
    source = _asset_file(Path(body.__code__.co_filename))
    top = [(part, *bound) for part in statements(source.tree.body, definitions=False) for bound in bindings(part)]
    open_parts: list[ast.stmt] = [_definition(source, body.__code__)]
    taken, imported, used = list[ast.stmt](), set[tuple[str, str]](), set[str]()
    while open_parts:
        part = open_parts.pop()
        if part not in taken:
            taken.append(part)
            new = free_names(part) - used
            used |= new
            named = [(each, dotted, name) for each, name, dotted in top if name in new]
            imported.update((dotted, name) for _, dotted, name in named if dotted)
            open_parts.extend(each for each, dotted, _ in named if not dotted and isinstance(each, ast.stmt))
    within = [dotted for part in statements(taken) for _, dotted in bindings(part) if dotted]
    texts = [normalised(source, part) for part in sorted(taken, key=lambda part: (part.lineno, part.col_offset))]
    names = "\n".join(f"{dotted} as {name}" for dotted, name in sorted(imported)).encode()
    return _Body((*texts, names), _modules(_root(body), [*within, *(dotted for dotted, _ in sorted(imported))]))


_asset_file = cache(read_source)  # several assets share one; other files are read once by `_read_module`


def _definition(source: Source, code: CodeType) -> ast.stmt:
    """The function of this name whose first decorator, or else itself, begins in the line that Python remembers."""
    for part in statements(source.tree.body):
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
            begin = min(each.lineno for each in [part, *part.decorator_list])
            if (part.name, begin) == (code.co_name, code.co_firstlineno):
                return part
    where = f"{code.co_filename}, line {code.co_firstlineno}"
    raise ValueError(f"{where}: {code.co_name} does not begin here: the file changed since it was loaded; start again")


def _modules(root: Path, dotted: Iterable[str]) -> tuple[str, ...]:
    """Modules of this package that imported names come from, once each."""
    own = [name for name in dotted if name.partition(".")[0] == PACKAGE]
    return tuple(dict.fromkeys(_module_name(root, name) for name in own))


def _kept(names: Iterable[str]) -> list[str]:
    prefixes = tuple(f"{prefix}." for prefix in NOT_FOLLOWED)
    counts = (name for name in names if name in FOLLOWED or not f"{name}.".startswith(prefixes))
    return [name for name in counts if not _is_schema(name)]


def _is_schema(name: str) -> bool:
    return name.endswith(SCHEMA) and name != f"{PACKAGE}.storage{SCHEMA}"


def _root(body: FunctionType) -> Path:
    """The folder that holds the package: for a user's own asset, the package that runs."""
    if body.__module__.partition(".")[0] == PACKAGE:
        return Path(body.__code__.co_filename).parents[body.__module__.count(".")]
    return Path(__file__).parents[2]


def _module_name(root: Path, dotted: str) -> str:
    """The module that an imported name is, or that it comes from."""
    for name in (dotted, dotted.rpartition(".")[0]):
        if _file(root, name):
            return name
    raise ValueError(f"{dotted} is imported, but is no module of {PACKAGE}, nor in one")


@cache
def _file(root: Path, name: str) -> Path | None:
    """The file of a module of the package, if there is one."""
    place = root.joinpath(*name.split("."))
    found = [place / "__init__.py", place.with_name(f"{place.name}.py")]
    return next((file for file in found if name.partition(".")[0] == PACKAGE and file.is_file()), None)
