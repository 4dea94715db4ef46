"""Each check of the ingest stage fails for its own defect, at the shipped bounds."""

from pathlib import Path

import polars as pl
import pytest

from paris_assets.dag.checks import CheckOutcome
from paris_assets.ingest.checks import fetched, ledger_complete, stored_as_asked, texts_found
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import SHARD, MadeUpRoot


@pytest.fixture
def store(tmp_path: Path) -> MadeUpRoot:
    store = made_up.flat_root(tmp_path)
    names = made_up.ids(10)
    store.put("source_rows", pl.DataFrame({"source_row": range(10), "url": ["u"] * 10}))
    ledger = pl.DataFrame({"source_row": range(10), "image_id": names}).with_columns(
        status=pl.lit("ok"), reason=pl.lit(None, pl.String)
    )
    store.put("raw_images", ledger)
    assert store.check(ledger_complete, SHARD).passed
    assert store.check(fetched, SHARD).passed
    return store


def test_a_lost_row(store: MadeUpRoot) -> None:
    store.put("raw_images", store.read("raw_images", SHARD)[1:])
    assert store.check(ledger_complete, SHARD).figures == {"missing": 1, "repeated": 0, "unexplained": 0}
    assert not store.check(ledger_complete, SHARD).passed


def test_a_repeated_row(store: MadeUpRoot) -> None:
    rows = store.read("raw_images", SHARD)
    store.put("raw_images", pl.concat([rows, rows[:1]]))
    assert store.check(ledger_complete, SHARD).figures["repeated"] == 1
    assert not store.check(ledger_complete, SHARD).passed


def test_a_failure_without_reason(store: MadeUpRoot) -> None:
    store.replace("raw_images", status=pl.when(pl.col("source_row") == 0).then(pl.lit("failed")).otherwise("status"))
    assert store.check(ledger_complete, SHARD).figures["unexplained"] == 1
    assert not store.check(ledger_complete, SHARD).passed
    assert store.check(fetched, SHARD).passed


def test_a_dead_server(store: MadeUpRoot) -> None:
    dead = pl.col("source_row") < 6
    store.replace(
        "raw_images",
        status=pl.when(dead).then(pl.lit("failed")).otherwise("status"),
        reason=pl.when(dead).then(pl.lit("connection")),
    )
    judged = store.check(fetched, SHARD)
    assert not judged.passed
    assert "connection 6" in judged.said
    assert f"paris run --retry transient --shards {SHARD}" in judged.advice
    assert store.check(ledger_complete, SHARD).passed


def _texts(store: MadeUpRoot, with_text: int, **facts: object) -> CheckOutcome:
    texts = ["a text" if row < with_text else " " if row % 2 else None for row in range(10)]
    store.put("source_rows", pl.DataFrame({"source_row": range(10), "text": texts}), facts=facts)
    return store.check(texts_found, SHARD)


def test_a_column_of_texts_that_nothing_reads(store: MadeUpRoot) -> None:
    judged = _texts(store, 0, unused_text_columns=["beschreibung", "legende"])
    assert not judged.passed
    assert "not used, though they look like texts: beschreibung, legende" in judged.said
    assert "{text: beschreibung}" in judged.advice
    assert _texts(store, 10, unused_text_columns=["beschreibung"]).passed


def test_texts_that_most_rows_lack(store: MadeUpRoot) -> None:
    judged = _texts(store, 4)
    assert not judged.passed
    assert judged.figures == {"with_text": 0.4, "checks.min_texts": 0.5}
    assert _texts(store, 5).passed


@pytest.mark.parametrize(
    ("kind", "advice"), [("folder", "a.txt, a.caption or a.json"), ("tar", "KEY.txt"), ("table", "source.columns=")]
)
def test_the_advice_on_texts_fits_the_kind_of_source(store: MadeUpRoot, kind: str, advice: str) -> None:
    said = _texts(store, 4, source_kind=kind).advice
    assert advice in said
    assert ("source.columns" in said) == (kind == "table")
    assert "{text: legende}" in _texts(store, 4, source_kind=kind, unused_text_columns=["legende"]).advice


def test_a_source_without_texts_is_none_with_lost_ones(store: MadeUpRoot) -> None:
    judged = _texts(store, 0)
    assert judged.passed
    assert judged.said == "the source has no texts"


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("http_503", "--retry transient"),
        ("opt_out", "ingest.disallowed_header_directives"),
        ("robots", "ingest.robots.obey"),
        ("robots_unreachable", "--retry transient"),
        ("private_address", "--set 'ingest.resolve.10.1.2.3="),
        ("http_404", "out of date"),
        ("no_url", "out of date"),
        ("bad_answer", "docs/running.md"),
    ],
)
def test_the_advice_mends_what_failed(store: MadeUpRoot, reason: str, advice: str) -> None:
    failed = pl.col("source_row") < 6
    store.replace(
        "raw_images",
        status=pl.when(failed).then(pl.lit("failed")).otherwise("status"),
        reason=pl.when(failed).then(pl.lit(reason)),
    )
    if reason == "private_address":
        store.put("raw_images", store.read("raw_images", SHARD), facts={"private_hosts": ["10.1.2.3"]})
    assert advice in store.check(fetched, SHARD).advice


def stored_root(folder: Path, **encode: object) -> MadeUpRoot:
    """Ten images of 640 x 480 pixels, kept as fetched or as ``encode`` says."""
    store = made_up.flat_root(folder, **({"ingest.encode": encode} if encode else {}))
    sha256 = [name * 2 for name in made_up.ids(10)]
    ledger = pl.DataFrame({"source_row": range(10), "sha256": sha256}).with_columns(
        image_id=pl.col("sha256").str.head(32),
        status=pl.lit("ok"),
        size_bytes=pl.lit(90_000),
        width=pl.lit(640, pl.Int32),
        height=pl.lit(480, pl.Int32),
        format=pl.lit("png"),
        stored_bytes=pl.lit(9_000 if encode else 90_000),
        stored_width=pl.lit(341 if encode else 640, pl.Int32),
        stored_height=pl.lit(256 if encode else 480, pl.Int32),
        stored_format=pl.lit("jpeg" if encode else "png"),
        stored_sha256=pl.lit("0" * 64) if encode else pl.col("sha256"),
        faces_blurred=pl.col("source_row").cast(pl.Int32) % 3 if encode.get("blur_faces") else pl.lit(None, pl.Int32),
    )
    store.put("raw_images", ledger)
    assert store.check(stored_as_asked, SHARD).passed
    return store


FIRST = pl.col("source_row") == 0


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("stored_sha256", pl.lit("f" * 64)),
        ("stored_bytes", pl.lit(1)),
        ("stored_width", pl.lit(639, pl.Int32)),
        ("stored_format", pl.lit("jpeg")),
        ("stored_sha256", pl.lit(None, pl.String)),
    ],
)
def test_a_file_that_is_not_as_it_was_fetched(tmp_path: Path, column: str, value: pl.Expr) -> None:
    store = stored_root(tmp_path)
    store.replace("raw_images", **{column: pl.when(FIRST).then(value).otherwise(column)})
    judged = store.check(stored_as_asked, SHARD)
    assert not judged.passed
    assert judged.figures == {"named_wrong": 0, "stored_wrong": 1, "faces_unknown": 0}
    assert judged.said == "1 images are not stored as fetched"
    assert "--force --select raw_images" in judged.advice


def test_an_image_id_of_other_bytes(tmp_path: Path) -> None:
    store = stored_root(tmp_path)
    store.replace("raw_images", image_id=pl.when(FIRST).then(pl.lit("f" * 32)).otherwise("image_id"))
    assert store.check(stored_as_asked, SHARD).figures == {"named_wrong": 1, "stored_wrong": 0, "faces_unknown": 0}
    assert not store.check(stored_as_asked, SHARD).passed


@pytest.mark.parametrize(
    ("column", "value"), [("stored_width", 340), ("stored_height", 480), ("stored_format", "webp"), ("width", 200)]
)
def test_a_picture_that_is_not_encoded_as_asked(tmp_path: Path, column: str, value: int | str) -> None:
    store = stored_root(tmp_path, short_side=256)
    store.replace("raw_images", **{column: pl.when(FIRST).then(pl.lit(value)).otherwise(column)})
    judged = store.check(stored_as_asked, SHARD)
    assert judged.figures == {"named_wrong": 0, "stored_wrong": 1, "faces_unknown": 0}
    assert judged.said == "1 images are not stored as jpg with a short side of at most 256 pixels"


def test_a_picture_whose_faces_were_not_looked_for(tmp_path: Path) -> None:
    store = stored_root(tmp_path, short_side=256, blur_faces=True)
    assert "faces were blurred in 6" in store.check(stored_as_asked, SHARD).said
    store.replace("raw_images", faces_blurred=pl.when(~FIRST).then("faces_blurred"))
    judged = store.check(stored_as_asked, SHARD)
    assert not judged.passed
    assert judged.figures == {"named_wrong": 0, "stored_wrong": 0, "faces_unknown": 1}
