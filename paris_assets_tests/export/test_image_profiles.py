"""The rows of an export: field names and types of the webscale pipeline, our values, nothing invented."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from paris_assets.config import Model
from paris_assets.errors import BrokenInvariant
from paris_assets.export.fields import embedding_names, own_fields, profile_fields
from paris_assets.export.image_profiles import Contents, plain, unit_vectors, with_embeddings
from paris_assets_tests.export import world
from paris_assets_tests.fixtures.made_up import SHARD, MadeUpRoot

SEED = {
    "image_width": pa.int32(), "image_height": pa.int32(), "image_file_size_bytes": pa.int64(),
    "image_format": pa.string(), "image_compression_artifacts": pa.float32(),
    "image_information_entropy": pa.float32(), "img_vd_color_cast": pa.float32(), "img_vd_blurriness": pa.float32(),
    "img_vd_watermark": pa.float32(), "img_vd_noise": pa.float32(), "img_vd_overall_quality": pa.float32(),
    "image_aesthetic_score": pa.float32(), "image_aigc_score": pa.float32(), "image_is_aigc": pa.bool_(),
    "phash": pa.string(),
}  # fmt: skip
"""Field -> type, of the webscale pipeline."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> MadeUpRoot:
    return world.finished(tmp_path_factory.mktemp("root"))


def rows(store: MadeUpRoot, only: Any = "kept", assets: Any = None) -> pl.DataFrame:
    contents = Contents(store.profile, only, False, assets or store.graph)
    return contents.rows(partial(store.tables.for_shard, shard=SHARD), SHARD)


def test_a_row_holds_what_was_measured_under_the_pipelines_names(store: MadeUpRoot) -> None:
    found = rows(store).row(0, named=True)
    name = world.names(SHARD)[0]
    size = found.pop("image_file_size_bytes")
    assert size in {len(data) for data in world.files(SHARD)}
    assert {field: found[field] for field in [*SEED][:2]} == {"image_width": 48, "image_height": 32}
    expected = {
        "image_id": name, "image_format": "JPEG", "image_compression_artifacts": 0.25,
        "image_information_entropy": 7.5, "img_vd_color_cast": None, "img_vd_blurriness": 0.25,
        "img_vd_watermark": 0.25, "img_vd_noise": 1.0, "img_vd_overall_quality": None, "image_aesthetic_score": 5.5,
        "image_aigc_score": 0.75, "image_is_aigc": True, "phash": "800000000000000a", "shard": SHARD, "source_row": 0,
        "url": f"http://photos.example/{SHARD}/0.jpg", "text": "text 0", "alt_texts": ["also"],
        "caption": "a caption", "captioner": "source_text", "kept": True, "reason": None, "reasons": [],
        "group_id": name, "cluster": 1, "distance": 0.5, "selected": True, "blur": 4.0, "noise": 100.0,
        "colour_cast": 1.5, "dhash": "00000000000000ff", "own": 3, "nsfw": 0.125, "pwatermark": 0.25,
    }  # fmt: skip
    assert {field: found.get(field, "absent") for field in expected} == expected
    assert not {"thumbnail", "offset", "entropy", "phash_right", "curated"} & found.keys()


def test_the_pipelines_fields_come_first_and_have_its_types(store: MadeUpRoot) -> None:
    schema = plain(rows(store)).schema
    assert schema.names[: len(SEED) + 1] == ["image_id", *SEED]
    assert {name: schema.field(name).type for name in SEED} == SEED
    assert schema.field("reasons").type == pa.list_(pa.string())


def test_what_was_not_measured_is_null_of_the_same_type() -> None:
    nothing = pl.DataFrame({"x": [1]}).select(field.value.alias(field.name) for field in profile_fields([]))
    assert nothing.null_count().row(0) == (1,) * len(SEED)
    assert {field.name: field.type for field in plain(nothing).schema} == SEED


def test_quality_is_known_where_all_four_faults_are() -> None:
    known = {
        "degradation_cast": 0.5, "blur": 8.0, "degradation_watermark": 0.25, "pwatermark": 1.0,
        "noise": 50.0, "degradation_noise": 0.5,
    }  # fmt: skip
    fields = {field.name: field.value for field in profile_fields(known)}
    found = pl.DataFrame(known).select(
        fields["img_vd_overall_quality"].alias("all"), fields["img_vd_watermark"].alias("w")
    )
    assert found.row(0) == pytest.approx((1 - (0.2 * 0.5 + 0.3 * 0.5 + 0.25 * 0.25 + 0.25 * 0.5), 0.25))


def test_all_images_have_their_verdict_and_whether_they_were_curated(store: MadeUpRoot) -> None:
    found = rows(store, "all")
    assert found["image_id"].to_list() == world.names(SHARD)
    assert found["curated"].to_list() == [True] * world.KEPT + [False] * 2
    rejected = found.filter(~pl.col("kept"))
    assert rejected.select("reason", "value", "caption", "group_id").unique().row(0) == ("short_side", 32, None, None)
    assert rejected["reasons"][0].to_list() == ["short_side", "aspect"]


def test_the_image_is_that_of_the_row_that_was_kept(tmp_path: Path) -> None:
    store = world.finished(tmp_path)
    other = [pl.lit("http://other.example/").alias("url"), pl.lit(77, pl.Int64).alias("source_row")]
    world.put(store, "curated_images", SHARD, store.read("curated_images", SHARD).with_columns(other))
    assert rows(store).select("url", "source_row").unique().rows() == [("http://other.example/", 77)]


def test_a_curated_image_that_was_not_measured_stops_the_export(tmp_path: Path) -> None:
    store = world.finished(tmp_path)
    world.put(store, "image_signals", SHARD, store.read("image_signals", SHARD)[1:])
    with pytest.raises(BrokenInvariant, match="shard 00000: 6 images are to be exported, and 5 rows are known"):
        rows(store)


def test_embeddings_are_unit_vectors_and_one_that_is_missing_stays_missing(store: MadeUpRoot) -> None:
    table = with_embeddings(rows(store), store.scan("picture_embeddings", [SHARD]), store.profile)
    clip, siglip = table["image_clip_emb_vit_l_14"], table["image_siglip_emb_so400m"]
    assert clip.type == siglip.type == pa.list_(pa.float32(), world.DIM)
    vectors = np.array(clip.to_pylist())
    stored = store.read("picture_embeddings", SHARD)["clip-l14"][: world.KEPT].to_numpy().astype(np.float64)
    np.testing.assert_allclose(vectors, stored / np.linalg.norm(stored, axis=1, keepdims=True), atol=1e-6)
    assert siglip.to_pylist()[0] is None
    assert siglip.null_count == 1
    assert np.linalg.norm(siglip.to_pylist()[1]) == pytest.approx(1)


def test_zeros_are_no_vector_and_there_may_be_no_rows() -> None:
    some = pl.Series(np.array([[0, 0], [3, 4]], np.float16))
    assert unit_vectors(some).to_pylist() == [None, pytest.approx([0.6, 0.8])]
    assert unit_vectors(some[:0]).type == pa.list_(pa.float32(), 2)


def test_names_of_embeddings() -> None:
    def encoder(implementation: str, path: str | None = None) -> Model:
        return Model(implementation=implementation, path=path)

    found = embedding_names(
        {
            "a": encoder("clip-image", "openai/clip-vit-base-patch32"),
            "b": encoder("siglip-image", "google/siglip2-so400m-patch14-384"),
            "clip-own": encoder("clip-image", "/disk/clip"),
            "cn.clip": encoder("chinese-clip-image", "OFA-Sys/chinese-clip-vit-base-patch16"),
        }
    )
    assert found == {
        "a": "image_clip_emb_vit_b_32",
        "b": "image_siglip_emb_so400m_patch14_384",
        "clip-own": "image_clip_emb_own",
        "cn.clip": "image_emb_cn_clip",
    }
    twice = {name: encoder("clip-image", "openai/clip-vit-base-patch32") for name in ("x", "y")}
    assert embedding_names(twice) == {"x": "image_emb_x", "y": "image_emb_y"}


def test_columns_of_own_signals_come_last() -> None:
    assert [field.name for field in own_fields(["mine", "url", "thumbnail", "tier"])] == ["url", "tier", "mine"]
