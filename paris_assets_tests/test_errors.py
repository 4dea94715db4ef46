"""Whatever a user does wrong is told in words that name it; a bug shows where it is."""

import ast
import builtins
import errno
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

import paris_assets
from paris_assets.cli import A_BUG, main
from paris_assets.errors import FileError, UserError, explained
from paris_assets.profiles import dump_profile
from paris_assets.runs import dev
from paris_assets.storage.location import Location
from paris_assets_tests.fixtures.small_world import embedded, profile

PACKAGE = Path(paris_assets.__file__).parent


class Place:
    """A folder with a source, a profile, files that are no roots, and a port that is taken."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.source = embedded(folder / "source" / "rows.parquet", 6)
        self.profile, self.root = folder / "small.yaml", folder / "root"
        self.profile.write_text(dump_profile(profile(self.source)))
        (folder / "file").write_text("")
        (folder / "empty").mkdir()
        (folder / "pipeline_manifest.json").write_text("{}")
        pl.DataFrame({"a": [1]}).write_parquet(folder / "columns.parquet")
        (folder / "broken.parquet").write_bytes(self.source.read_bytes()[:-9])
        (folder / "own.py").write_text("1 / 0")

    def run(self, *more: str, look: bool = True) -> list[str]:
        """The arguments of a run, which only looks or not."""
        looks = ["--dry-run"] if look else []
        return ["run", *looks, "--profile", str(self.profile), "--root", str(self.root), *more]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.delenv("PARIS_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # the folder is added to it
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield Place(tmp_path, taken.getsockname()[1])


MISTAKES: dict[str, tuple[Callable[[Place], list[str]], str]] = {
    "profile missing": (lambda p: ["run", "--profile", "nope"], "no profile 'nope': give a YAML file or one of da"),
    "profile a folder": (lambda p: ["run", "--profile", str(p.folder)], "no profile '{folder}'"),
    "profile below a file": (lambda p: ["doctor", "--profile", "file/a.yaml"], "no profile 'file/a.yaml'"),
    "profile with a long name": (lambda p: ["run", "--profile", "n" * 300], "nnn cannot be read: File name too long"),
    "set without =": (lambda p: p.run("--set", "seed"), "--set takes key=value, got 'seed'"),
    "set of no YAML": (lambda p: p.run("--set", "seed=["), "--set seed is not valid YAML"),
    "set below a value": (lambda p: p.run("--set", "seed.x=1"), "--set seed.x: 'seed' is not a section"),
    "unknown setting": (lambda p: p.run("--set", "clusters.kk=3"), "clusters.kk: no such setting"),
    "wrong value": (lambda p: p.run("--set", "clusters.k=many"), "clusters.k: Input should be a valid integer"),
    "unknown network": (lambda p: p.run("--set", "embedder.implementation=net"), "embedder: no network 'net': give"),
    "broken own module": (lambda p: p.run("--set", "signals.measures=[own:X]"), "own:X: ZeroDivisionError: division"),
    "unknown asset": (lambda p: p.run("--select", "caption"), "no asset 'caption' (did you mean 'captions'?); assets"),
    "unknown start": (lambda p: p.run("--from", "clusters"), "--from: no asset 'clusters' (did you mean '"),
    "unknown shard": (lambda p: p.run("--shards", "9"), "--shards: no shard 9; registered are 00000 to 00000"),
    "no worker": (lambda p: p.run("--workers", "0"), "--workers must be at least 1, got 0"),
    "root a file": (lambda p: p.run("--root", "file"), "{folder}/file/profile.yaml cannot be read: Not a directory"),
    "root below a file": (lambda p: p.run("--root", "file/root"), "a part of this path is a file: name a folder"),
    "doctor of a file": (lambda p: ["doctor", "--root", "file"], "{folder}/file/profile.yaml cannot be read"),
    "root not writable": (lambda p: p.run("--root", "/proc/none", look=False), "/proc/none/"),
    "root relative": (lambda p: p.run("--root", "file://results"), "file://results is no absolute path: write"),
    "root nowhere": (lambda p: p.run("--root", "s3://"), "s3:// names no bucket or folder: give one"),
    "root of a slip": (lambda p: p.run("--root", "s3:/bucket/a"), "is neither a path nor a URL: write s3://bucket/a"),
    "root of no scheme": (lambda p: p.run("--root", "foo://b/a"), "foo://b/a cannot be reached: Protocol not known"),
    "root in memory": (lambda p: p.run("--root", "memory://b/a"), "memory://b/a cannot hold a run: a root is a folder"),
    "root with a password": (lambda p: p.run("--root", "s3://me:word@b/a"), "s3://b/a was given with credentials"),
    "root of too long a name": (lambda p: p.run("--root", "n" * 300), "cannot be read: File name too long"),
    "source missing": (lambda p: p.run("--source", "no.parquet"), "no source at {folder}/no.parquet"),
    "source empty": (lambda p: p.run("--source", "empty"), "no source at {folder}/empty"),
    "source of no images": (lambda p: p.run("--source", "columns.parquet"), "columns.parquet has columns ['a']; need"),
    "source of no table": (lambda p: p.run("--source", "broken.parquet"), "broken.parquet is broken or cut off"),
    "source of no scheme": (lambda p: p.run("--source", "foo://b/a.csv"), "foo://b/a.csv cannot be reached: Protocol"),
    "source out of reach": (lambda p: p.run("--source", "https://127.0.0.1:1/*.csv"), "127.0.0.1:1/*.csv cannot be"),
    "source with a password": (lambda p: p.run("--source", "https://me:word@h/a.csv"), "https://h/a.csv was given"),
    "more clusters than rows": (lambda p: p.run("--set", "clusters.k=7", look=False),
                                "clusters.k is 7, but the source has only 6 rows"),
    "manifest missing": (lambda p: ["verify", "no.json"], "no.json is no root and no manifest: give a root"),
    "manifest missing, as root": (lambda p: ["verify", "--root", "no"], "no is no root and no manifest: give a root"),
    "manifest a folder": (lambda p: ["verify", str(p.folder)], "{folder} is no manifest, it lacks version"),
    "manifest a folder, slash": (lambda p: ["verify", f"{p.folder}/"], "{folder}/ is no manifest, it lacks version"),
    "manifest missing in a store": (lambda p: ["verify", "memory://none/m.json"], "m.json is no root and no manifest"),
    "manifest below a file": (lambda p: ["verify", "file/a.json"], "file/a.json is no root and no manifest"),
    "manifest no JSON": (lambda p: ["verify", "small.yaml"], "small.yaml is no JSON"),
    "manifest another file": (lambda p: ["verify", "pipeline_manifest.json"], "is no manifest, it lacks version"),
    "no run to inspect": (lambda p: ["inspect", "row:0", "--root", "none"], "there is no run under {folder}/none"),
    "no run to open": (lambda p: ["dev", "--root", "none"], "there is no run under {folder}/none: name"),
    "port in use": (lambda p: ["dev", "--port", str(p.port)], "port {port} is in use"),
    "port that is none": (lambda p: ["dev", "--port", "70000"], "--port must be from 1 to 65535, got 70000"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_without_a_traceback(
    mistake: str, place: Place, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, culprit = MISTAKES[mistake]
    monkeypatch.setattr(os, "execve", lambda *_: pytest.fail("the user interface was opened"))
    assert main(arguments(place)) == 2
    said = " ".join(capfd.readouterr().err.split())
    assert culprit.format(folder=place.folder, port=place.port) in said
    assert said.startswith("paris: ")
    assert "Traceback" not in said
    assert A_BUG not in said
    assert "word" not in said, "a password is shown"


def locked(path: Path) -> Path:
    """A path that this user may no longer use; skips where it may use everything, as root may."""
    path.chmod(0)
    if os.access(path, os.R_OK):
        path.chmod(0o700)
        pytest.skip("this user may read and write everything")
    return path


RIGHTS = "Permission denied; give this user the right to, or name another place"
LOCKED: dict[str, tuple[str, Callable[[Place], list[str]]]] = {
    "small.yaml": ("small.yaml cannot be read", lambda p: p.run()),
    "source/rows.parquet": ("source/rows.parquet cannot be read", lambda p: p.run()),
    "empty": ("empty/profile.yaml cannot be read", lambda p: p.run("--root", "empty")),
    "pipeline_manifest.json": ("pipeline_manifest.json cannot be read", lambda p: ["verify", "pipeline_manifest.json"]),
}


@pytest.mark.parametrize("path", LOCKED)
def test_what_may_not_be_read_is_named(path: str, place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    said, arguments = LOCKED[path]
    file = locked(place.folder / path)
    try:
        assert main(arguments(place)) == 2
    finally:
        file.chmod(0o700)
    assert f"/{said}: {RIGHTS}" in " ".join(capfd.readouterr().err.split())


def test_a_root_that_may_not_be_written_is_named(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    folder = locked(place.folder / "empty")
    folder.chmod(0o500)
    try:
        assert main(place.run("--root", "empty", look=False)) == 2
    finally:
        folder.chmod(0o700)
    assert f"cannot be written: {RIGHTS}" in " ".join(capfd.readouterr().err.split())
    assert not list(folder.iterdir())


@pytest.mark.parametrize("name", ["root", "source", "profile", "select", "from", "shards", "set"])
def test_an_argument_whose_variable_nobody_set_is_refused(
    name: str, place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(place.run(f"--{name}", ""))
    assert ended.value.code == 2
    said = capfd.readouterr().err
    assert f"--{name}: it is empty: give a value, or leave it out" in said
    assert "Traceback" not in said


def test_an_empty_environment_variable_names_no_root(
    place: Place, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARIS_ROOT", "")
    assert main(["inspect", "row:0"]) == 2
    assert "PARIS_ROOT is empty: let it name a folder or URL, or unset it" in capfd.readouterr().err
    assert not (place.folder / "data").exists()


@pytest.mark.slow
def test_only_the_default_root_is_opened_before_its_first_run(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(os, "execve", lambda _python, _arguments, environment: opened.append(environment["PARIS_ROOT"]))
    monkeypatch.setattr(dev, "start_file_server", lambda *_: "http://127.0.0.1:3001")
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    main(["dev", "--port", str(free_port())])
    assert main(["dev", "--port", str(free_port()), "--root", "other"]) == 2
    Location("other").put_bytes(place.profile.read_bytes(), "profile.yaml")
    main(["dev", "--port", str(free_port()), "--root", "other"])
    assert opened == [str(place.folder / "data/runs/demo"), str(place.folder / "other")]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_damage_under_the_root_is_named(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    place.root.mkdir()
    shutil.copy(place.profile, place.root / "profile.yaml")
    (place.root / "shards.parquet").write_bytes(b"no table")
    assert main(["inspect", "row:0", "--root", str(place.root)]) == 2
    assert f"{place.root}/shards.parquet is damaged" in capfd.readouterr().err
    (place.root / "profile.yaml").write_text("clusters: {kk: 1}")
    assert main(["run", "--root", str(place.root)]) == 2
    assert f"profile {place.root}/profile.yaml: clusters.kk: no such setting" in " ".join(
        capfd.readouterr().err.split()
    )


def test_an_interval_that_is_none_is_named(place: Place) -> None:
    environment = {**os.environ, "PARIS_SENSOR_INTERVAL_S": "soon", "PYTHONPATH": str(PACKAGE.parent)}
    ended = run_python("from paris_assets.cli import main; sys.exit(main(['inspect', 'row:0']))", environment)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "paris: PARIS_SENSOR_INTERVAL_S is 'soon': give a whole number of seconds, or unset it\n"


BUGS = [
    ValueError("a bug"),
    OSError("a bug"),
    OSError(errno.EBADF, "a bug"),
    KeyError("a bug"),
    BrokenPipeError("a bug"),
]


@pytest.mark.parametrize("error", BUGS, ids=[repr(error) for error in BUGS])
def test_a_bug_is_raised_and_called_one(
    error: Exception, place: Place, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise error

    monkeypatch.setattr("paris_assets.runs.command.run_command", broken)
    with pytest.raises(type(error), match="a bug"):
        main(place.run())
    assert capfd.readouterr().err == f"{A_BUG}\n"


def run_python(code: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A process of its own, as a shell starts one."""
    variables = environment or {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    return subprocess.run([sys.executable, "-c", f"import sys; {code}"], capture_output=True, text=True, env=variables)


def test_a_bug_ends_with_its_traceback_and_status_1(place: Place) -> None:
    code = (
        "from unittest import mock; from paris_assets.cli import main\n"
        "with mock.patch('paris_assets.runs.command.run_command', side_effect=ValueError('a bug')):\n"
        f"    sys.exit(main({place.run()!r}))"
    )
    ended = run_python(code)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"{A_BUG}\nTraceback (most recent call last):\n")
    assert ended.stderr.endswith("ValueError: a bug\n")


@pytest.mark.slow
def test_a_reader_that_ends_early_is_no_error(place: Place) -> None:
    code = "import sys; from paris_assets.cli import main; sys.exit(main(['doctor', '--profile', sys.argv[1]]))"
    reading, writing = os.pipe()
    os.close(reading)
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-c", code, str(place.profile)]
    with os.fdopen(writing, "wb") as stdout:  # as of `| head`, when it has seen enough
        ended = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment)
    assert ended.stderr == ""
    assert ended.returncode == 1


def test_an_error_of_the_system_keeps_its_number_and_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"^x cannot be written: full; free some") as full, explained("x", "written"):
        raise OSError(errno.ENOSPC, "full")
    assert full.value.errno == errno.ENOSPC
    with pytest.raises(FileNotFoundError), explained(tmp_path, but=(FileNotFoundError,)):
        (tmp_path / "none").read_bytes()
    for number in (None, errno.EBADF, errno.EINVAL):
        bug = OSError(number, "a bug") if number else OSError("a bug")
        with pytest.raises(OSError, match="a bug") as raised, explained("x"):
            raise bug
        assert raised.value is bug


def test_a_disk_that_fills_up_while_files_are_made_is_named(tmp_path: Path) -> None:
    root = Location(tmp_path / "root")
    with pytest.raises(FileError, match=r"root/\.scratch/files-.* cannot be written: full; free"), root.scratch():
        raise OSError(errno.ENOSPC, "full")
    bug = PermissionError(errno.EACCES, "of another file")
    with pytest.raises(PermissionError) as raised, root.scratch():
        raise bug
    assert raised.value is bug


INTERNAL = {
    "BrokenInvariant": "a bug: nothing that a user can mend",
    "LostRows": "a broken invariant",
    "MisalignedRows": "a broken invariant",
    "RepeatedImage": "a broken invariant",
    "WrongColumns": "a broken invariant",
    "NotAnImage": "becomes the reason of an image's row",
    "Undecodable": "becomes the reason of an image's row",
    "Unencodable": "becomes the reason of an image's row",
    "PrivateAddress": "becomes the reason of an image's row",
    "BadUrl": "becomes the reason of an image's row",
    "BadAnswer": "becomes the reason of an image's row",
    "BadEncoding": "becomes the reason of an image's row",
    "ConnectionFailed": "becomes the reason of an image's row",
    "Failure": "becomes the reason of an image's row",
    "NotNow": "becomes what a sensor says when it skips",
    "Lost": "a part of a step, which this process then does itself",
    "OtherBytes": "asked again by the object store, which then raises a StorageError",
    "TornTar": "becomes a finding of `paris verify`",
    "TornMds": "becomes a finding of `paris verify`",
    "NoValues": "a broken invariant",
    "BadPacking": "becomes a problem of `paris lint`",
    "BadArray": "becomes a problem of `paris lint`",
    "BadValue": "becomes a problem of `paris lint`",
    "BrokenTar": "becomes a problem of `paris lint`",
    "UnknownEncoding": "becomes a problem of `paris lint`",
    "Fault": "becomes the error of a corrupt sample, or is counted",
    "TooLarge": "a limit that the settings keep",
}


def exceptions() -> dict[str, set[str]]:
    """Every exception class that the package defines, with the names of all its bases."""
    defined = {
        node.name: {ast.unparse(base).rpartition(".")[2] for base in node.bases}
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    }

    def ancestors(name: str) -> set[str]:
        return {name}.union(*(ancestors(base) for base in defined.get(name, ())))

    builtin = {
        name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, BaseException)
    }
    return {name: found for name in defined if (found := ancestors(name)) & builtin}


def test_every_exception_says_whose_it_is() -> None:
    found = exceptions()
    assert len(found) > 20
    internal = {name for name, bases in found.items() if "UserError" not in bases}
    assert internal == set(INTERNAL)


def test_what_speaks_to_the_user_raises_nothing_else() -> None:
    rooms = ("cli.py", "profiles", "runs", "planning", "storage/address.py", "settings/credentials.py",
             "verification/command.py", "verification/manifest_checks.py")  # fmt: skip
    files = [
        file
        for room in rooms
        for file in ([PACKAGE / room] if room.endswith(".py") else (PACKAGE / room).rglob("*.py"))
    ]
    plain = {"ValueError", "OSError", "RuntimeError", "FileNotFoundError", "NotADirectoryError", "Exception"}
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                assert ast.unparse(node.exc.func) not in plain, f"{file}:{node.lineno} raises what is taken for a bug"


def test_the_classes_keep_the_bases_that_callers_and_pydantic_know() -> None:
    from paris_assets.ingest.lists.columns import SourceError
    from paris_assets.models.carried import WeightsError
    from paris_assets.settings.credentials import AddressError
    from paris_assets.storage.checksum import DamagedFile
    from paris_assets.storage.object_store import StorageError

    for kind, base in ((SourceError, ValueError), (WeightsError, RuntimeError), (AddressError, ValueError),
                       (DamagedFile, ValueError), (StorageError, OSError)):  # fmt: skip
        assert issubclass(kind, UserError), kind
        assert issubclass(kind, base), kind
    assert (StorageError("said").errno, str(StorageError("said"))) == (errno.EIO, "said")


def test_without_the_packages_of_a_run_it_says_what_to_install(
    place: Place, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paris_assets.runs.doctor.absent_packages", lambda: ["torch"])
    monkeypatch.setattr("paris_assets.runs.command.absent_packages", lambda: ["torch"])
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "paris_assets.models.device", raising=False)
    assert main(place.run()) == 2
    assert "not installed: pip install 'paris_assets[run]'" in capfd.readouterr().err
    assert main(["doctor", "--profile", str(place.profile)]) == 1
    assert "not installed: pip install 'paris_assets[run]'" in " ".join(capfd.readouterr().out.split())
