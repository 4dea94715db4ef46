"""What strangers' files and lists may do, and what must never be written down."""

from __future__ import annotations

import ast
import io
import json
import os
import pickle
import re
import sqlite3
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from paris_assets.cli import main
from paris_assets.config import Ingest, Model, ProfileError, Source
from paris_assets.dag.s3 import open_location
from paris_assets.experts.router import ARRAYS, consolidate
from paris_assets.ingest.ledger import fetch_shard
from paris_assets.ingest.lists.columns import SourceError
from paris_assets.ingest.sources import entry_of, images_of, read_rows, register
from paris_assets.profiles import dump_profile, parse_overrides, parse_profile
from paris_assets.settings.credentials import refuse_credentials, refuse_secret_options, without_credentials
from paris_assets.storage.location import Location
from paris_assets_tests.fixtures import small_world
from paris_assets_tests.images.test_decode import png
from paris_assets_tests.ingest.pictures import picture

PACKAGE = Path(__file__).parents[1] / "paris_assets"
TREES = {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}


class Touch:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.path),))


# Pickles


@cache
def all_calls() -> list[tuple[str, str, ast.Call]]:
    """(place, dotted name, call) of every call in the package."""
    found = ((path, node) for path, tree in TREES.items() for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [(f"{path.relative_to(PACKAGE)}:{call.lineno}", ast.unparse(call.func), call) for path, call in found]


def calls(*endings: str) -> list[tuple[str, ast.Call]]:
    """(place, call) of the calls whose dotted name ends so."""
    return [(place, call) for place, name, call in all_calls() if name.endswith(endings)]


def option(call: ast.Call, name: str) -> object:
    found = [keyword.value for keyword in call.keywords if keyword.arg == name]
    return ast.literal_eval(found[0]) if found and isinstance(found[0], ast.Constant) else None


def test_no_module_reads_pickles_or_runs_text() -> None:
    banned = {
        "pickle",
        "cPickle",
        "_pickle",
        "dill",
        "cloudpickle",
        "joblib",
        "shelve",
        "marshal",
        "jsonpickle",
        "code",
    }
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not banned & {module.partition(".")[0] for module in modules}, path
    loose = ("read_pickle", "fromfile", ".loadtxt", "genfromtxt", "yaml.load", "full_load", "unsafe_load", "os.system")
    assert [place for place, _ in calls(*loose)] == []
    assert [place for place, call in calls("eval", "exec") if ast.unparse(call.func) in ("eval", "exec")] == []
    assert [place for place, call in calls("run", "call", "Popen") if option(call, "shell")] == []
    assert [place for place, _ in calls(".extractall", "tar.extract", "unpack_archive")] == []


def test_arrays_and_weights_are_opened_without_pickle() -> None:
    arrays, weights, networks = (calls(name) for name in ("np.load", "torch.load", "from_pretrained"))
    assert arrays
    assert weights
    assert networks
    assert [place for place, call in arrays if option(call, "allow_pickle") is not False] == []
    assert [place for place, call in calls("np.save") if option(call, "allow_pickle") is not False] == []
    assert [place for place, call in weights if option(call, "weights_only") is not True] == []
    assert [place for place, call in networks if option(call, "trust_remote_code")] == []
    opened = [(place, call) for place, call in networks if "tokenizer" not in ast.unparse(call.func).lower()]
    assert [place for place, call in opened if option(call, "use_safetensors") is not True] == []


def test_an_array_of_objects_is_not_opened(tmp_path: Path) -> None:
    mark = tmp_path / "unpickled"
    files = {name: tmp_path / f"{name}.npy" for name in ARRAYS}
    for file in files.values():
        np.save(file, np.array([Touch(mark)], object), allow_pickle=True)
    with pytest.raises(ValueError, match="Python objects"):
        consolidate([files], tmp_path, 1 << 30)
    for file in files.values():
        file.write_bytes(pickle.dumps(Touch(mark)))
    with pytest.raises(ValueError, match=r"pickle|magic"):
        consolidate([files], tmp_path, 1 << 30)
    assert not mark.exists()


def test_pickles_in_a_table_are_bytes_that_are_no_image(tmp_path: Path) -> None:
    mark = tmp_path / "unpickled"
    table = pl.DataFrame({"image": [pickle.dumps(Touch(mark))], "text": ["x"]})
    table.write_parquet(tmp_path / "t.parquet")
    ledger = read_all(tmp_path / "t.parquet", tmp_path)
    assert ledger["reason"].to_list() == ["not_an_image"]
    assert not mark.exists()


# YAML


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.mkdir ['{mark}']", "seed: !!python/object/apply:os.mkdir ['{mark}']",
        "seed: !!python/name:os.mkdir", "!!python/object:paris_assets.config.Profile {{}}", "seed: !mine 3",
        "seed: 2001-99-99", "a: " + "[" * 500, "seed: " + "9" * 5000,
    ],
)  # fmt: skip
def test_yaml_holds_plain_values_only(tmp_path: Path, text: str) -> None:
    mark = tmp_path / "made"
    with pytest.raises(ProfileError, match=r"there\.yaml is not valid YAML"):
        parse_profile(text.format(mark=mark), "there.yaml")
    with pytest.raises(ProfileError, match="--set seed is not valid YAML"):
        parse_overrides([f"seed={text.format(mark=mark).removeprefix('seed: ')}"])
    assert not mark.exists()


def test_aliases_that_unfold_without_end_are_refused() -> None:
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    laughs += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    for text in (laughs, "a: &a [*a]", "a: &a {b: *a}"):
        with pytest.raises(ProfileError, match="more than 100000 values"):
            parse_profile(text, "bomb.yaml")
    shared = "captions: {captioner: &m {implementation: imagenet-labels}}\nembedder: *m"
    assert parse_profile(shared, "fine.yaml").embedder.implementation == "imagenet-labels"


# Sources


def read_all(path: Path, scratch: Path, **limits: Any) -> pl.DataFrame:
    """The ledger of a source's first shard, by the way that a run takes."""
    source = Source(path=str(path))
    root = Location(scratch)
    entry = entry_of(register(source, None, root), "00000")
    rows, settings = read_rows(source, entry, root), Ingest(**limits)
    return fetch_shard(rows, images_of(source, entry, rows, settings), settings, scratch / "images.tar")


def member(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    return info


def tar(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as file:
        for info, content in members:
            file.addfile(info, io.BytesIO(content) if content else None)
    return path


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_names_in_a_tar_are_names_of_nothing_here(tmp_path: Path) -> None:
    names = ["../../up.jpg", "/etc/passwd.jpg", "a\nb.jpg", "a\\..\\b.jpg", "n" * 5000 + ".jpg", ".../x.jpg", "~/x.jpg"]
    image, inner = picture(0), tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    ledger = read_all(tar(inner / "t.tar", *[(member(name, len(image)), image) for name in names]), inner)
    assert ledger["status"].to_list() == ["ok"] * len(names)
    with tarfile.open(inner / "images.tar") as made:
        assert all(re.fullmatch(r"[0-9a-f]{32}\.jpg", name) for name in made.getnames())
    assert files_below(tmp_path) == {"a", "a/b", "a/b/t.tar", "a/b/images.tar"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_only_files_of_a_tar_are_read(tmp_path: Path, kind: bytes) -> None:
    secret, image = tmp_path / "secret.jpg", picture(0)
    secret.write_bytes(picture(1))
    special = member("a.jpg", 0, kind, str(secret)), b""
    ledger = read_all(tar(tmp_path / "t.tar", special, (member("b.jpg", len(image)), image)), tmp_path)
    assert ledger.filter(status="ok")["size_bytes"].to_list() == [len(image)]
    assert set(ledger.filter(status="failed")["reason"]) <= {"no_image"}  # of a link that leads to no member


@pytest.mark.parametrize("size", [-1, -512, -1024])
def test_a_negative_size_ends_the_tar(tmp_path: Path, size: int) -> None:
    header = bytearray(member("b.txt").tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" + size.to_bytes(11, "big", signed=True)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    whole = tar(tmp_path / "t.tar", (member("a.jpg", 600), bytes(600))).read_bytes()
    (tmp_path / "t.tar").write_bytes(whole[:1536] + header + whole[1536:])
    with pytest.raises(SourceError, match=rf"'b\.txt' has {size} bytes"):
        register(Source(path=str(tmp_path / "t.tar")), None, Location(tmp_path))


def test_descriptions_of_any_size_cost_little(tmp_path: Path) -> None:
    image, long = picture(0), b"x" * 30_000_000
    members = [("a.jpg", image), ("a.txt", long), ("b.jpg", image), ("b.json", b'{"text": "' + long + b'"}')]
    rows = tar(tmp_path / "t.tar", *[(member(name, len(content)), content) for name, content in members])
    source, root = Source(path=str(rows)), Location(tmp_path)
    texts = read_rows(source, entry_of(register(source, None, root), "00000"), root)["text"]
    assert texts.str.len_bytes().to_list() == [1 << 20, None]


def test_json_in_a_tar_names_no_file(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(picture(1))
    image = picture(0)
    claims = {"file": "../secret.jpg", "path": str(tmp_path / "secret.jpg"), "url": "file:///etc/passwd", "text": "x"}
    described = json.dumps({**claims, "locator": "/etc/passwd", "__key__": "../../x"}).encode()
    source = Source(
        path=str(
            tar(tmp_path / "t.tar", (member("a.jpg", len(image)), image), (member("a.json", len(described)), described))
        )
    )
    root = Location(tmp_path)
    entry = entry_of(register(source, None, root), "00000")
    rows = read_rows(source, entry, root)
    assert rows["locator"].to_list() == ["t.tar:a.jpg"]
    assert [fetched.body for fetched in images_of(source, entry, rows, Ingest())] == [image]


@pytest.mark.parametrize("target", ["../secret.jpg", "{outside}/secret.jpg"])
def test_a_link_out_of_a_folder_of_images_is_refused(tmp_path: Path, target: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret.jpg").write_bytes(picture(1))
    (folder / "a.jpg").write_bytes(picture(0))
    (folder / "b.jpg").symlink_to("a.jpg")
    (folder / "c.jpg").symlink_to(target.format(outside=tmp_path))
    with pytest.raises(SourceError, match=r"is a link out of the folder, to .*secret\.jpg"):
        register(Source(path=str(folder)), None, Location(tmp_path))


def test_a_link_within_a_folder_of_images_is_the_same_image_and_folders_behind_links_are_none(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(picture(1))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(picture(0))
    (folder / "b.jpg").symlink_to("a.jpg")
    (folder / "up").symlink_to("..")
    (folder / "loop.jpg").symlink_to(".")
    assert register(Source(path=str(folder)), None, Location(tmp_path))["members"].to_list() == [["a.jpg"]]


def test_metadata_of_a_folder_describes_its_own_files_only(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret.jpg").write_bytes(picture(1))
    (folder / "a.jpg").write_bytes(picture(0))
    files = ["../secret.jpg", str(tmp_path / "secret.jpg"), "a.jpg/../../secret.jpg", "a.jpg"]
    lines = [json.dumps({"file": file, "text": file, "locator": "../secret.jpg"}) for file in files]
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    ledger = read_all(folder, tmp_path)
    assert ledger.select("text", "size_bytes").rows() == [("a.jpg", len(picture(0)))]


@pytest.mark.parametrize("kind", ["folder", "tar", "parquet", "struct", "web"])
def test_the_limit_on_pixels_holds_for_every_source(tmp_path: Path, kind: str) -> None:
    bomb, fine = png(60_000, 60_000), picture(0)
    limits: dict[str, Any] = {}
    source = tmp_path / "source"
    source.mkdir()
    if kind in ("folder", "web"):
        (source / "a.png").write_bytes(bomb)
        (source / "b.jpg").write_bytes(fine)
    if kind == "tar":
        source = tar(tmp_path / "t.tar", (member("a.png", len(bomb)), bomb), (member("b.jpg", len(fine)), fine))
    if kind in ("parquet", "struct"):
        images = [bomb, fine] if kind == "parquet" else [{"bytes": bomb, "path": "/etc/passwd"}, {"bytes": fine}]
        pl.DataFrame({"image": images}).write_parquet(source := tmp_path / "t.parquet")
    if kind == "web":
        from paris_assets.demo.server import serve

        with serve(source) as address:
            pl.DataFrame({"url": ["http://p.example/a.png", "http://p.example/b.jpg"]}).write_csv(tmp_path / "t.csv")
            ledger = read_all(tmp_path / "t.csv", tmp_path, resolve={"p.example": address})
    else:
        ledger = read_all(source, tmp_path, **limits)
    assert ledger["reason"].to_list() == ["too_many_pixels", None]
    assert ledger["width"].to_list()[0] == 60_000


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/passwd", ".."])
def test_no_path_leaves_the_root(tmp_path: Path, path: str) -> None:
    root = open_location(tmp_path / "root")
    for step in (root.uri, root.size, root.read, root.delete, lambda name: root.put_bytes(b"", name)):
        with pytest.raises(ValueError, match="not a path below the root"):
            step(path)


# Secrets

MARK = "SeCrEt1234567890mArK"
WITH_SECRETS = [
    f"s3://key:{MARK}@bucket/list.parquet", f"https://me:{MARK}@h.example/l.parquet", f"https://{MARK}@h.example/l.csv",
    f"https://h.example/list.parquet?token={MARK}", f"https://h.example/l.parquet?a=1&X-Amz-Signature={MARK}",
    f"https://h.example/list.parquet?sig={MARK}&se=2030", f"sftp://me:{MARK}@h.example/folder",
    f"https://h.example/l.parquet#access_token={MARK}", f"simplecache::https://me:{MARK}@h.example/l.parquet",
    f"https://me:p@{MARK}@h.example/l.parquet",
]  # fmt: skip


@pytest.mark.parametrize("address", WITH_SECRETS)
def test_an_address_with_credentials_is_refused_and_not_repeated(
    tmp_path: Path, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert MARK not in without_credentials(address)
    for step in (refuse_credentials, Location, lambda text: open_location(f"{text}/more")):
        with pytest.raises(ValueError, match="given with credentials") as caught:
            step(address)
        assert MARK not in str(caught.value)
    with pytest.raises(ProfileError, match=r"source\.path: .*given with credentials") as wrong:
        parse_profile(f"source: {{path: '{address}'}}", "p.yaml")
    assert MARK not in str(wrong.value)
    root = tmp_path / "root"
    assert main(["run", "--root", str(root), "--source", address]) == 2
    assert main(["run", "--root", address]) == 2
    shown = capsys.readouterr()
    assert "given with credentials" in shown.err
    assert MARK not in shown.err + shown.out
    assert not root.exists()


@pytest.mark.parametrize(
    "address",
    [
        "s3://bucket/key=5/part-??.parquet", "https://h.example/list.parquet?download=true", "sftp://me@h.example/folder",
        "data/me@home/list.parquet", "/data/token=5/x.parquet", "gs://bucket/a@b/list.parquet", "list#1.parquet",
    ],
)  # fmt: skip
def test_other_addresses_are_taken_as_they_are(address: str) -> None:
    assert refuse_credentials(address) == address


def test_options_of_a_model_hold_no_key() -> None:
    for name in ("api_key", "token", "password", "hf_token", "aws_secret_access_key"):
        with pytest.raises(ValueError, match=name) as caught:
            Model(implementation="m", options={name: MARK})
        with pytest.raises(ProfileError) as wrong:
            parse_profile(f"embedder: {{implementation: m, options: {{{name}: {MARK}}}}}", "p.yaml")
        assert MARK not in str(wrong.value)
        assert "environment" in str(caught.value)
    fine = {"api_key_env": "MY_KEY", "max_new_tokens": 50, "prefix": "a photo of"}
    assert refuse_secret_options(fine) == fine


def _bytes_of(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes()


@pytest.mark.slow
def test_a_run_writes_no_secret_and_no_strangers_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """All assets on a list whose urls hold passwords and whose texts and names are paths, with keys in the environment:
    no byte of the root, of Dagster's home or of what is printed holds a secret, and no file is named by a stranger."""
    listed = small_world.web(tmp_path / "source", 20)
    table = pl.read_parquet(listed).with_columns(
        URL=pl.col("URL").str.replace("http://", f"http://me:{MARK}@", literal=True),
        TEXT=pl.lit("../../../../etc/passwd\0/tmp/escape.jpg"),
        uid=pl.lit("../../../escape"),
    )
    table.write_parquet(listed)
    settings = small_world.profile(listed, source__rows_per_shard=40)
    chosen, root = tmp_path / "small.yaml", tmp_path / "root"
    chosen.write_text(dump_profile(settings))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "HF_TOKEN"):
        monkeypatch.setenv(name, MARK)
    before = files_below(tmp_path)
    assert main(["run", "--root", str(root), "--profile", str(chosen)]) == 0
    shown = capfd.readouterr()
    assert MARK not in shown.out + shown.err
    assert [path for path, content in _bytes_of(root) if MARK.encode() in content] == []
    assert [path for path, content in _bytes_of(root) if b"root:x:0" in content] == []
    _check_tables(root)
    assert {name.partition("/")[0] for name in files_below(tmp_path) - before} == {"root"}
    tars = list((root / "expert_shards").rglob("*.tar"))
    assert tars
    for path in tars:
        with tarfile.open(path) as made:
            names = made.getnames()
        assert all(re.fullmatch(r"[0-9a-f]{32}\.[a-z_]+\.(npy|txt|json)", name) for name in names), path


def _check_tables(root: Path) -> None:
    """Compressed pages and database pages could hide a text from a search for its bytes."""
    for path in root.rglob("*.parquet"):
        frame = pl.read_parquet(path)
        texts = [name for name, kind in frame.schema.items() if kind == pl.String]
        assert not any(frame[name].str.contains(MARK, literal=True).any() for name in texts), path
    urls = pl.read_parquet(root / "source_rows" / "00000.parquet")["url"]
    assert urls.str.starts_with(f"http://{small_world.HOST}/").all()
    databases = [path for path in (root / ".dagster").rglob("*.db")]
    assert databases
    for path in databases:
        with sqlite3.connect(path) as database:
            assert not any(MARK in line for line in database.iterdump()), path


def test_profile_dumps_are_plain_yaml() -> None:
    text = dump_profile(small_world.profile("list.parquet"))
    assert "!!" not in text
    assert yaml.safe_load(text)["name"] == "small"
