"""`paris search` on a small root, from the words of the command to what is printed and written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from paris_assets.cli import main
from paris_assets.curation.image_lists import listed
from paris_assets.models.heads import unit
from paris_assets.models.registry import Models
from paris_assets.profiles import dump_profile
from paris_assets.settings.curation import ImageList
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.search import world as worlds
from paris_assets_tests.search.world import SHARDS, World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return worlds.make(tmp_path_factory.mktemp("world"))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARIS_ROOT", raising=False)


def answers(world: World, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert main(["search", *arguments, "--root", world.url, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def images(world: World, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    (answer,) = answers(world, capsys, *arguments)
    return answer["images"]


def stored(world: World, column: str) -> pl.DataFrame:
    tables = [pl.read_parquet(world.root / f"picture_embeddings/{shard}.parquet") for shard in SHARDS]
    return pl.concat(tables).drop_nulls(column).select("image_id", vector=column)


def test_a_text_finds_what_its_tower_says(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    (answer,) = answers(world, capsys, "a dog on a beach", "--top", "5")
    assert (answer["query"], answer["kind"], answer["encoder"]) == ("a dog on a beach", "text", "clip")
    vectors = stored(world, "clip")
    tower = Models().load_text_tower(world.profile.picture_embeddings["clip"])
    text = tower.run(["a dog on a beach"] + [""] * 3)[:1]
    cosines = (unit(vectors["vector"].to_numpy()) @ unit(text).T)[:, 0]
    expected = vectors["image_id"].gather(np.argsort(-cosines)[:5]).to_list()
    assert [image["image_id"] for image in answer["images"]] == expected
    assert [image["rank"] for image in answer["images"]] == [1, 2, 3, 4, 5]
    np.testing.assert_allclose([image["cosine"] for image in answer["images"]], np.sort(cosines)[::-1][:5], atol=1e-5)


def test_an_image_file_finds_itself_first(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("query.jpg")
    path.write_bytes(world.files[world.names[8]])
    (answer,) = answers(world, capsys, str(path), "--encoder", "clip")
    assert answer["kind"] == "image"
    assert len(answer["images"]) == 11, "image 3 has no vector"
    first = answer["images"][0]
    assert (first["image_id"], first["shard"]) == (world.names[8], SHARDS[1])
    assert first["cosine"] == pytest.approx(1, abs=2e-3)
    assert first["url"] == "http://photos.example/8.jpg"


def test_an_image_id_needs_no_network_and_takes_the_first_encoder(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Models, "load", lambda *_: pytest.fail("a network is loaded"))
    (answer,) = answers(world, capsys, world.names[2], "--top", "2")
    assert (answer["kind"], answer["encoder"]) == ("image_id", "colours")
    assert (answer["images"][0]["image_id"], answer["images"][0]["cosine"]) == (world.names[2], 1.0)


def test_what_became_of_an_image_is_said(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    said = {image["image_id"]: image for image in images(world, capsys, world.names[0], "--top", "99")}
    states = {at: (said[world.names[at]]["kept"], said[world.names[at]]["status"]) for at in (0, 4, 5, 6, 7)}
    assert states == {
        0: (True, "kept"),
        4: (False, "rejected: blurred"),
        5: (False, f"copy of {world.names[0]} (phash)"),
        6: (True, "kept, and not trained on: low_value_cluster"),
        7: (None, "not judged yet"),
    }
    assert said[world.names[0]]["caption"] == "caption of 0"
    assert said[world.names[7]]["caption"] == "picture 7", "the source's text, where there is no caption"


def test_queries_of_a_file_in_words(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    Path("queries.txt").write_text(f"a red house\n\n  {world.names[1]}\n")
    assert main(["search", "--queries", "queries.txt", "--root", world.url, "--top", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["by clip in 2 shards", "a red house (text)"]
    assert lines[3] == f"{world.names[1]} (image_id)"
    assert lines[4] == f"   1  1.0000  {world.names[1]}  kept  caption of 1"
    assert main(["search", "a red house", "--root", world.url, "--min-cosine", "0.9999"]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == ["  no image is so near"]


def test_a_long_text_is_a_text(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    said = "a dog on a beach " * 40
    (answer,) = answers(world, capsys, said, "--top", "1")
    assert (answer["query"], answer["kind"]) == (said.strip(), "text")


def test_an_image_of_several_shards_is_kept_where_one_keeps_it_and_strangers_words_are_plain(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = worlds.make(tmp_path)
    registry, profile = (world.root / name for name in ("shards.parquet", "profile.yaml"))
    before = registry.read_bytes(), profile.read_bytes()
    store = made_up.flat_root(world.root, picture_embeddings=worlds.encoders(world.weights))
    registry.write_bytes(before[0])
    profile.write_bytes(before[1])
    twice = pl.DataFrame({"image_id": world.names[6:7], "kept": [False], "reason": ["unsafe by its list"]})
    captions = pl.DataFrame({"image_id": world.names[6:7], "caption": ["a \x1b[2Jred\x07 house"]})
    for shard in SHARDS:
        judged = pl.read_parquet(world.root / f"filtered_images/{shard}.parquet")
        if shard == SHARDS[0]:
            judged = pl.concat([judged, twice.cast(judged.select(twice.columns).schema)], how="diagonal")
        store.put("filtered_images", judged, shard)
    store.put("captions", captions, SHARDS[1])
    assert main(["search", world.names[6], "--root", world.url, "--top", "12", "--encoder", "clip"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("   1"))
    assert line.endswith("kept, and not trained on: low_value_cluster  a [2Jred house")


def test_shards_that_wait_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    waiting = worlds.make(tmp_path)
    (waiting.root / "picture_embeddings/00001.parquet").unlink()
    assert main(["search", waiting.names[0], "--root", waiting.url, "--top", "99"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("by colours in 1 shard; 1 of 2 shards have no vectors of it yet\n")
    assert waiting.names[8] not in said


def test_a_root_without_any_vector_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = worlds.make(tmp_path, without_vector=range(12))
    assert main(["search", "a red house", "--root", bare.url]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == ["  no image has a vector of clip"]


def test_a_page_shows_the_pictures_and_loads_nothing(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    Path("queries.txt").write_text(f"<b>houses</b>\n{world.names[1]}\n")
    assert main(["search", "--queries", "queries.txt", "--root", world.url, "--html", "f.html", "--top", "4"]) == 0
    assert "written: f.html" in capsys.readouterr().out
    page = Path("f.html").read_text()
    assert "&lt;b&gt;houses&lt;/b&gt;" in page
    assert page.count('src="data:image/webp;base64,') == 9
    assert "http" not in page.replace("http://photos.example", "")


def test_a_list_is_what_curation_takes(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    search = ["search", world.names[5], "--root", world.url, "--top", "3", "--write", "list.csv"]
    assert main([*search, "--reason", "broken scans", "--boost", "4"]) == 0
    shown = [line.split()[2] for line in capsys.readouterr().out.splitlines()[2:5]]
    rows = listed([ImageList(path="list.csv")])
    assert rows.rows() == [(name, "broken scans", 4.0) for name in shown]
    assert shown[0] == world.names[5]


MISTAKES = {
    "no query": ([], "give either a query (a text, an image file or an image_id) or --queries FILE"),
    "two queries": (["x", "--queries", "y"], "give either a query"),
    "no such file": (["photo.jpg"], "there is no file 'photo.jpg': a query that ends like an image's name is the path"),
    "no image": (["queries.txt"], "queries.txt is no image that can be searched for: "),
    "no queries": (["--queries", "empty.txt"], "empty.txt holds no query"),
    "absent queries": (["--queries", "none.txt"], "none.txt cannot be read: No such file or directory"),
    "wrong line": (["--queries", "queries.txt"], "queries.txt, line 2: there is no file 'a.png'"),
    "unknown image": (["0" * 32], f"no image {'0' * 32} under {{url}}: give an image_id of this root"),
    "without vector": (["{3}"], "image {3} has no vector of 'colours': a rule rejected it before, or it failed"),
    "unknown encoder": (["x", "--encoder", "clap"], "holds no vectors of 'clap' (did you mean 'clip'?); there are"),
    "no text tower": (["x", "--encoder", "colours"], "has no text tower, so its vectors are like no text"),
    "none": (["x", "--top", "0"], "--top must be at least 1, got 0"),
    "no cosine": (["x", "--min-cosine", "2"], "--min-cosine must be from -1 to 1, got 2"),
    "no reason": (["x", "--write", "list.csv"], "--write FILE takes a --reason"),
    "a factor for nothing": (["x", "--boost", "2"], "--boost is a column of the list that --write FILE makes"),
    "a factor of nought": (["x", "--boost", "0"], "--boost must be from 0.01 to 100, got 0"),
    "a list that is there": (["x", "--write", "queries.txt", "--reason", "y"], "queries.txt is there already"),
    "absent weights": (["x", "--set", "picture_embeddings.clip.path=/none"], "clip cannot make the vector of a query"),
    "page in no folder": (["{1}", "--html", "no/f.html"], "no/f.html cannot be written: No such file or directory"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named(mistake: str, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    Path("queries.txt").write_text("a house\na.png\n")
    Path("empty.txt").write_text("\n \n")
    arguments, said = MISTAKES[mistake]
    given = [text.format(*world.names) if text.startswith("{") else text for text in arguments]
    assert main(["search", *given, "--root", world.url]) == 2
    error = capsys.readouterr().err
    assert error.startswith("paris: ")
    assert said.format(*world.names, url=world.url) in error


def test_other_weights_are_not_compared_with(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = worlds.tiny.TOWERS["clip-image"](tmp_path / "other")
    weights = next((tmp_path / "other").glob("*.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    setting = f"picture_embeddings.clip.path={tmp_path / 'other'}"
    for query in ("a house", world.names[1]):
        status = main(["search", query, "--root", world.url, "--encoder", "clip", "--set", setting])
        assert status == (2 if query == "a house" else 0), other
    assert "the vectors of 'clip' are of other weights (sha256 " in capsys.readouterr().err


def test_a_root_without_vectors_names_the_setting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "x", "--root", str(tmp_path / "nowhere")]) == 2
    assert f"there is no run under {tmp_path}/nowhere" in capsys.readouterr().err
    store = made_up.flat_root(tmp_path / "root")
    Path(tmp_path / "root/profile.yaml").write_text(dump_profile(store.profile))
    assert main(["search", "x", "--root", str(tmp_path / "root")]) == 2
    error = capsys.readouterr().err
    assert "holds no vectors of images: name an encoder in `picture_embeddings` of its profile" in error


def test_vectors_that_clusters_are_made_from_serve_where_there_are_no_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = made_up.flat_root(tmp_path / "root", embedder={"implementation": "paris_assets_tests.models.cheap:Colours"})
    Path(tmp_path / "root/profile.yaml").write_text(dump_profile(store.profile))
    names = made_up.ids(4)
    vectors = np.eye(4, 48, dtype=np.float16) + 0.1
    rows = pl.DataFrame({"image_id": names, "embedding": vectors})
    store.put("image_embeddings", rows, facts={"models": {"embedder": {"implementation": "cheap"}}})
    assert main(["search", names[2], "--root", str(tmp_path / "root"), "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["encoder"] == "embedder"
    assert answer["images"][0]["image_id"] == names[2]
    assert {image["status"] for image in answer["images"]} == {"not judged yet"}
