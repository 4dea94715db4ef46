"""Ranges come from the images alone, in whatever order they lie, and errors are those of the values themselves."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from paris_assets.config import Model
from paris_assets.experts.codec.ranges import NoValues, decoded_psnr, errors, histogram, ranged, sampled, scale_of
from paris_assets.experts.coding import codecs_of
from paris_assets.formats.codec import ArrayCodec, decode, encode
from paris_assets.models.batches import BatchStats
from paris_assets.models.registry import Models
from paris_assets.profiles import load_profile
from paris_assets.settings.experts import ArrayRange
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards
from paris_assets_tests.fixtures.made_up import ids
from paris_assets_tests.models.cheap import Blocks

COUNT = 40


class Decoders(Models):
    def load(self, settings: Model) -> Any:
        return Blocks(Model(implementation="blocks", batch_size=4))


def tables(order: list[int], cuts: tuple[int, ...]) -> tuple[Shards, Shards]:
    """The same images, in shards that are cut at some places of an order."""
    generator = np.random.default_rng(1)
    latents = generator.standard_normal((COUNT, 4, 8, 8)).astype(np.float16)
    text = generator.standard_normal((COUNT, 6, 3)).astype(np.float16)
    text[:, 4:] = 0  # padding
    names, edges = ids(COUNT), (0, *cuts, COUNT)
    shards: list[dict[str, pl.DataFrame]] = [{}, {}]
    for number, (start, stop) in enumerate(pairwise(edges)):
        rows = sorted(order[start:stop])
        given = {"image_id": [names[row] for row in rows]}
        shards[0][f"{number:05d}"] = pl.DataFrame(given).with_columns(pl.Series("latent_256", latents[rows]))
        shards[1][f"{number:05d}"] = pl.DataFrame(given).with_columns(pl.Series("embedding", text[rows]))
    return Shards.of({**shards[0]}), Shards.of({**shards[1]})


def made(folder: Path, order: list[int], cuts: tuple[int, ...], **codec: Any) -> tuple[pl.DataFrame, Output]:
    folder.mkdir()
    profile = load_profile("demo", {"experts.codec": codec or {"latents": {"rows": 16}, "text": {"rows": 16}}})
    output = ranged(*tables(order, cuts), Decoders(), profile)
    output.scratch = folder
    (rows,) = output.rows  # type: ignore[misc]
    assert isinstance(rows, pl.DataFrame)
    return rows, output


def test_ranges_do_not_depend_on_the_order_of_images_or_shards(tmp_path: Path) -> None:
    first, output = made(tmp_path / "a", list(range(COUNT)), (13,))
    order = np.random.default_rng(2).permutation(COUNT).tolist()
    second, other = made(tmp_path / "b", order, (5, 6, 30))
    assert first.equals(second, null_equal=True)
    assert output.facts["codec"] == other.facts["codec"]
    beside = (tmp_path / "a/router_arrays-codec.json").read_bytes()
    assert beside == (tmp_path / "b/router_arrays-codec.json").read_bytes()
    assert first["images"].to_list() == [16, 16]


def test_other_images_are_sampled_under_another_seed() -> None:
    latents, _ = tables(list(range(COUNT)), (20,))
    found = {tuple(sampled(latents, 10, seed)) for seed in range(5)}
    assert len(found) == 5
    assert all(len(names) == 10 and list(names) == sorted(names) for names in found)
    assert sampled(latents, 1000, 0).to_list() == ids(COUNT)


def test_the_range_holds_the_percentile_of_values_other_than_zero() -> None:
    values = np.concatenate([np.zeros(9000), np.arange(1, 1001)]).astype(np.float16)
    (counts,) = histogram([values[:5000], values[5000:]], None)
    assert counts.sum() == 10000
    scale = scale_of(ArrayRange(percentile=99.0), counts, "text")
    assert 127 * scale == pytest.approx(990, rel=1e-6)
    assert errors(counts, scale).clipped == pytest.approx(0.007, abs=1e-9)  # 994 .. 1000 round to 128 steps or more
    with pytest.raises(NoValues, match=r"text are all zero: give experts\.codec\.text\.range"):
        scale_of(ArrayRange(), np.eye(1, len(counts), dtype=np.int64)[0], "text")
    assert scale_of(ArrayRange(range=12.7), counts, "text") == float(np.float32(0.1))


def test_errors_are_those_of_the_values() -> None:
    values = (np.random.default_rng(0).standard_normal(20000) * 3).astype(np.float16)
    scale = float(np.float32(0.05))
    (counts,) = histogram([values], None)
    found, codec = errors(counts, scale), ArrayCodec((scale,))
    moved = decode(encode(values, codec), codec).astype(np.float64) - values.astype(np.float64)
    assert found.rmse == pytest.approx(float(np.sqrt((moved**2).mean())), rel=1e-4)
    assert found.relative_rmse == pytest.approx(
        found.rmse / float(np.sqrt((values.astype(float) ** 2).mean())), rel=1e-4
    )
    assert found.clipped == pytest.approx(float((np.abs(values.astype(float)) > 127.5 * scale).mean()), abs=2e-4)
    assert found.values == np.count_nonzero(values)


def test_channels_have_ranges_of_their_own(tmp_path: Path) -> None:
    rows, _ = made(tmp_path / "a", list(range(COUNT)), (13,), latents={"per_channel": True})
    assert rows["channel"].to_list() == [0, 1, 2, 3]
    codec = codecs_of(rows.lazy())["latents"]
    assert (codec.axis, len(set(codec.scales))) == (-3, 4)


def test_text_is_compared_by_its_true_positions_and_latents_by_their_pictures(tmp_path: Path) -> None:
    rows, _ = made(tmp_path / "a", list(range(COUNT)), (13,))
    by_kind = {row["kind"]: row for row in rows.to_dicts()}
    assert 0.999 < by_kind["text"]["lowest_cosine"] <= by_kind["text"]["cosine"] < 1
    assert by_kind["text"]["values"] == 16 * 4 * 3
    assert by_kind["latents"]["lowest_psnr_db"] <= by_kind["latents"]["psnr_db"]
    coarse, _ = made(tmp_path / "b", list(range(COUNT)), (13,), latents={"range": 100.0})
    assert coarse["psnr_db"][0] < by_kind["latents"]["psnr_db"] - 10


def test_pictures_of_several_shapes_are_decoded() -> None:
    generator = np.random.default_rng(0)
    latents = [generator.standard_normal((4, 8, width)).astype(np.float16) for width in (8, 6, 8, 6, 6)]
    network = Blocks(Model(implementation="blocks", batch_size=2))
    found = decoded_psnr(latents, ArrayCodec((float(np.float32(6 / 127)),)), network, BatchStats())
    assert len(found) == 5
    assert min(found) > 35


def test_there_is_no_range_of_no_images(tmp_path: Path) -> None:
    latents, text = tables([], ())
    empty = Shards(latents.keys, lambda keys: latents.scan(keys).head(0))
    output = ranged(empty, text, Decoders(), load_profile("demo", {"experts.codec": {"latents": {}}}))
    output.scratch = tmp_path
    with pytest.raises(NoValues, match="no image has latents"):
        list(output.rows)  # type: ignore[arg-type]
