"""Which caption of an image is chosen, and what is asked of whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from paris_assets.captions.captioning import Writers, captioned
from paris_assets.captions.choice import chosen, valid_and_not, without_repeated
from paris_assets.captions.kinds import Writer, kind_rows, with_texts
from paris_assets.captions.schema import CAPTION_KINDS
from paris_assets.config import Captions, Profile
from paris_assets.images.decode import Undecodable
from paris_assets.images.reader import ImageTars
from paris_assets.ingest.schema import RAW_IMAGES
from paris_assets.models.decoding import Images
from paris_assets.models.registry import Models
from paris_assets.models.resolve import resolve_networks
from paris_assets.settings.captions import columns_read
from paris_assets.storage.output import Output
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import SHARD
from paris_assets_tests.models.fakes import Namer
from paris_assets_tests.models.photos import photos

UNSEEN = "\ufeffa\x00red\u202e \x1b\x85barn\u2066\r\n\tat\ufffddusk\x9f"
NETWORK = {"captioner": {"implementation": "imagenet-labels"}}


def _rows() -> pl.DataFrame:
    texts = ["a  red\nbarn ", None, "IMG_0001.jpg", "the sea at night", ""]
    return pl.DataFrame({"image_id": [image_id for image_id, _ in photos()[:5]], "text": texts})


class _Loaded(Models):
    """Models that are one network."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def load(self, settings: Any) -> Any:
        return self.network


def _read(images: list[tuple[str, bytes]]) -> Any:
    return lambda image_ids: (image for image in images if image[0] in set(image_ids))


def _usual(rows: pl.DataFrame, captioner: Any, images: list[tuple[str, bytes]] | None = None) -> pl.DataFrame:
    """Captions of a profile that names no kinds."""
    settings, given = Captions(min_words=3), photos()[:5] if images is None else images
    made = kind_rows(rows, _read(given), settings, Writers(Output(), _Loaded(captioner), settings))
    return chosen(made, rows.rename({"text": "source_text"}), settings.train)


def test_each_row_says_where_its_caption_comes_from() -> None:
    captioner, rows = Namer(batch_size=2), _rows()
    table = _usual(rows, captioner)
    assert table["image_id"].to_list() == rows["image_id"].to_list()
    assert table["captioner"].to_list() == ["source_text", "mean-colour", "mean-colour", "source_text", "mean-colour"]
    assert table["kind"].to_list() == ["source", "short", "short", "source", "short"]
    assert table["caption"][0] == "a red barn"
    assert table["caption"][3] == "the sea at night"
    assert table["source_text"].to_list() == rows["text"].to_list()
    assert table.filter(pl.col("captioner") == "mean-colour")["caption"].str.starts_with("a picture of ").all()
    assert len(captioner.sides) == 3, "only images without usable text are decoded"
    assert table["reasons"].to_list() == [[], ["empty"], ["file_name"], [], ["empty"]]


def test_a_missing_or_undecodable_image_stops_and_is_named() -> None:
    rows = _rows()
    with pytest.raises(ValueError, match=f"no caption for 3 images, first {rows['image_id'][1]}"):
        _usual(rows, Namer(), [])
    with pytest.raises(Undecodable, match=rows["image_id"][1]):
        _usual(rows, Namer(), [(rows["image_id"][1], b"\xff\xd8\xff")])


def test_no_rows_give_the_columns() -> None:
    table = _usual(_rows().clear(), Namer())
    assert table.height == 0
    assert table.select("image_id", "caption", "captioner", "source_text").schema == dict.fromkeys(
        ("image_id", "caption", "captioner", "source_text"), pl.String
    )


def test_the_captioner_is_built_only_for_images_without_caption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, models = made_up.flat_root(tmp_path), Models()
    made_up.publishable(store)
    store.replace("curated_images", text=pl.lit("a red barn at dusk"))
    monkeypatch.setattr(models, "load", lambda settings: pytest.fail("the captioner was built"))
    images = ImageTars(store.files).of(SHARD, pl.LazyFrame(schema=RAW_IMAGES.polars()))
    curated = store.scan("curated_images", [SHARD])
    record = store.commit("captions", SHARD, captioned(curated, images, store.profile.captions, models))
    assert store.read("captions", SHARD)["captioner"].to_list() == ["source_text"] * 24
    assert "models" not in record.facts
    assert record.facts["kinds"] == {"source": {"valid": 24}}


def test_no_unseen_character_reaches_a_caption_whoever_wrote_it() -> None:
    rows, captioner = _rows(), Namer()
    rows = rows.with_columns(text=pl.when(pl.int_range(pl.len()) == 0).then(pl.lit(UNSEEN)).otherwise("text"))
    captioner.run = lambda batch: np.array([UNSEEN + "\ud83d!"] * len(batch))  # type: ignore[method-assign]
    table = _usual(rows, captioner)
    assert table["caption"][0] == "a red barn at dusk"
    assert set(table.filter(captioner=captioner.name)["caption"]) == {"a red barn at dusk !"}
    assert table["source_text"].to_list() == rows["text"].to_list()


def test_a_captioner_with_nothing_to_say_leaves_an_empty_caption() -> None:
    silent = Namer()
    silent.run = lambda batch: np.array([" "] * len(batch))  # type: ignore[method-assign]
    rows = _usual(_rows(), silent)
    assert rows.filter(captioner=silent.name)["caption"].to_list() == ["", "", ""]
    assert rows.filter(captioner=silent.name)["kind"].to_list() == [None] * 3
    assert rows["reasons"][1].to_list() == ["empty", "empty"]
    assert "" not in rows.filter(captioner="source_text")["caption"].to_list()


def made(settings: Captions, said: Mapping[str, str | None], **given: Any) -> tuple[pl.DataFrame, list[str]]:
    """Kinds of five images, whose writers say the same of each, and who was asked about which kind and image."""
    asked: list[str] = []

    def writers(kind: str) -> Iterator[Writer]:
        def write(images: Images) -> Iterator[tuple[str, str | None]]:
            for image_id, _ in images:
                asked.append(f"{kind} {image_id}")
                yield image_id, said[kind]

        yield Writer(f"who writes {kind}", write)

    return kind_rows(_rows(), _read(photos()[:5]), settings, writers, **given), asked


def test_every_kind_is_a_row_with_its_reason_and_the_profile_chooses() -> None:
    kinds = {"source": {"column": "text"}, "short": NETWORK, "long": NETWORK, "tags": NETWORK}
    settings = Captions(kinds=kinds, train=["long", "short", "source"])  # type: ignore[arg-type]
    said = {"short": "a barn", "long": "I'm sorry, I cannot describe the picture", "tags": "barn, sky"}
    table, asked = made(settings, said)
    assert table.schema == CAPTION_KINDS.polars()
    assert table.height == 20
    assert len(asked) == 15
    assert table.filter(kind="long")["reason"].to_list() == ["refusal"] * 5
    images = _rows().rename({"text": "source_text"})
    captions = chosen(table, images, settings.train)
    assert captions["kind"].to_list() == ["short"] * 5
    assert captions["kinds"].to_list()[:2] == [["short", "source", "tags"], ["short", "tags"]]
    assert captions["invalid"].to_list()[1] == ["long", "source"]
    assert chosen(table, images, ["source", "tags"])["kind"].to_list() == ["source", "tags", "tags", "source", "tags"]
    counts = {"short": {"valid": 5}, "tags": {"valid": 5}, "long": {"valid": 0, "refusal": 5}}
    assert valid_and_not(captions) == {**counts, "source": {"valid": 2, "empty": 2, "file_name": 1}}


def test_an_image_without_a_valid_caption_says_who_was_asked_last_and_why() -> None:
    settings = Captions(kinds={"source": {"column": "text"}, "long": NETWORK}, train=["source", "long"])  # type: ignore[dict-item]
    table, _ = made(settings, {"long": None})
    captions = chosen(table, _rows().rename({"text": "source_text"}), settings.train)
    assert captions["caption"].to_list() == ["a red barn", "", "", "the sea at night", ""]
    assert captions["captioner"][1] == "who writes long"
    assert captions["reasons"][1].to_list() == ["no_answer", "empty"]


def test_a_kind_is_not_made_where_another_makes_it_superfluous() -> None:
    kinds = {"source": {"column": "text"}, "short": {**NETWORK, "unless": ["source"]}}
    table, asked = made(Captions(kinds=kinds), {"short": "a barn"})  # type: ignore[arg-type]
    assert asked == [f"short {_rows()['image_id'][row]}" for row in (1, 2, 4)]
    assert table.filter(kind="short").height == 3


def test_what_was_written_before_is_kept_and_who_gave_no_answer_is_asked_again() -> None:
    settings = Captions(kinds={"short": NETWORK, "source": {"column": "text"}})  # type: ignore[dict-item]
    first, _ = made(settings, {"short": "a barn"})
    failed = pl.col("image_id") == _rows()["image_id"][3]
    before = first.filter(pl.col("image_id") != _rows()["image_id"][0]).with_columns(
        reason=pl.when(failed).then(pl.lit("no_answer")).otherwise("reason")
    )
    again, asked = made(settings, {"short": "a barn"}, before=before)
    assert asked == [f"short {_rows()['image_id'][row]}" for row in (0, 3)]
    assert again.equals(first)


def test_the_next_of_a_chain_is_asked_for_images_without_a_valid_caption_and_each_row_says_who_wrote_it() -> None:
    settings = Captions(kinds={"short": NETWORK}, train=["short"])  # type: ignore[dict-item]
    ids = _rows()["image_id"].to_list()
    says: list[dict[str, str | None]] = [
        {ids[0]: "a barn", ids[1]: None, ids[2]: "I'm sorry, I cannot describe the picture", ids[3]: "12", ids[4]: ""},
        {ids[1]: "the sea", ids[2]: None, ids[3]: "a dog", ids[4]: "see http://x.example"},
        {ids[2]: "a cat", ids[4]: "77"},
    ]
    asked: list[list[str]] = []

    def writers(kind: str) -> Iterator[Writer]:
        for place, said in enumerate(says):

            def write(images: Images, said: dict[str, str | None] = said) -> Iterator[tuple[str, str | None]]:
                asked.append([])
                for image_id, _ in images:
                    asked[-1].append(image_id)
                    yield image_id, said[image_id]

            yield Writer(f"writer {place}", write)

    table = kind_rows(_rows(), _read(photos()[:5]), settings, writers)
    assert asked == [ids, ids[1:], [ids[2], ids[4]]], "each is asked only for what those before could not caption"
    assert table["image_id"].to_list() == ids
    assert table["caption"].to_list() == ["a barn", "the sea", "a cat", "a dog", "77"]
    assert table["captioner"].to_list() == [f"writer {place}" for place in (0, 1, 2, 1, 2)]
    assert table["reason"].to_list() == [None, None, None, None, "no_letters"], "the last one's reason is told"
    asked.clear()
    again = kind_rows(_rows(), _read(photos()[:5]), settings, writers, before=table)
    assert again.equals(table)
    assert asked == [], "whoever wrote it, what is there is kept"


def test_settings_of_a_chain_are_named_and_each_link_is_one_thing() -> None:
    endpoint = {"endpoint": {"model": "m", "prompt": "p"}}
    kinds = {"short": {**endpoint, "fallback": [endpoint, NETWORK]}, "source": {"column": "text"}}
    settings = Captions(kinds=kinds)  # type: ignore[arg-type]
    assert list(settings.writers_of("short")) == [
        "captions.kinds.short.endpoint",
        "captions.kinds.short.fallback.0.endpoint",
        "captions.kinds.short.fallback.1.captioner",
    ]
    assert settings.writers_of("source") == {}
    resolved = resolve_networks(Profile(captions=settings))
    network = resolved.captions.kinds["short"].fallback[1].captioner
    assert network is not None
    assert "auto" not in (network.device, network.precision)
    with pytest.raises(ValueError, match="takes one of `captioner` and `endpoint`"):
        Captions(kinds={"short": {**NETWORK, "fallback": [{**NETWORK, **endpoint}]}})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="from a column has no `fallback`"):
        Captions(kinds={"source": {"column": "text", "fallback": [NETWORK]}}, train=["source"])  # type: ignore[dict-item]


def test_captions_of_too_many_tokens_are_invalid() -> None:
    settings = Captions(kinds={"source": {"column": "text"}}, train=["source"], max_tokens=10)  # type: ignore[dict-item]
    count = lambda texts: np.array([len(text) for text in texts])  # noqa: E731  (one token per letter)
    table, _ = made(settings, {}, count=count)
    assert table["reason"].to_list() == [None, "empty", "file_name", "too_long", "empty"]


def test_what_repeats_is_no_caption() -> None:
    settings = Captions(kinds={"source": {"column": "text"}}, train=["source"])  # type: ignore[dict-item]
    table, _ = made(settings, {})
    repeated = pl.DataFrame({"image_id": [_rows()["image_id"][0]], "kind": ["source"]})
    assert without_repeated(table, repeated)["reason"].to_list() == ["repeated", "empty", "file_name", None, "empty"]
    assert without_repeated(table, repeated.with_columns(kind=pl.lit("long"))).equals(table)


def test_words_that_a_signal_read_are_captions_of_the_kind_ocr() -> None:
    settings = Captions(kinds={"source": {"column": "text"}, "ocr": {"column": "ocr_text"}}, train=["source", "ocr"])  # type: ignore[dict-item]
    curated = _rows().with_columns(source_row=pl.int_range(5)).lazy()
    signals = _rows().select("image_id", ocr_text=pl.Series(["EXIT\n12", None, "12 %", None, "BARN"])).lazy()
    sources = curated.select("source_row", **dict.fromkeys(("short_text", "long_text", "tags", "ocr"), pl.lit("x")))
    wanted = with_texts(curated, sources, signals).collect()
    table = kind_rows(wanted, _read([]), settings, lambda kind: pytest.fail("nobody is to be asked"))
    read = table.filter(kind="ocr")
    assert read["caption"].to_list() == ["EXIT 12", "", "12 %", "", "BARN"]
    assert read["reason"].to_list() == [None, "empty", None, "empty", None]
    assert set(read["captioner"]) == {"text_signal"}
    assert columns_read(settings) == {"text", "ocr_text"}
    assert with_texts(curated, None, None).collect().columns == ["image_id", "text", "source_row"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"train": ["long"]}, "train names long; captions.kinds has source, short"),
        ({"kinds": {"source": {}}}, "takes one of `column`, `captioner` and `endpoint`"),
        ({"kinds": {"source": {"column": "text", **NETWORK}}}, "takes one of `column`, `captioner` and `endpoint`"),
        ({"kinds": {"source": {"column": "text", "unless": ["ocr"]}}, "train": ["source"]}, "unless names ocr"),
        ({"kinds": {"source": {"column": "text", "unless": ["source"]}}, "train": ["source"]}, "has none itself"),
        ({"max_repeats": 3}, "need captions.kinds"),
        ({"train": ["source", "source"]}, "twice"),
    ],
)
def test_settings_that_contradict_themselves(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Captions(**settings)
