"""Judgement on what was fetched."""

import polars as pl

from paris_assets.config import Encode, Profile
from paris_assets.dag.checks import CheckOutcome, Figures, make_again, shard_check
from paris_assets.dag.counts import counted
from paris_assets.dag.records import Record
from paris_assets.images.resize import shrunk_side
from paris_assets.ingest.fetched import SKIPPED, TRANSIENT, how_to_allow
from paris_assets.ingest.refused import TAKEN_DOWN
from paris_assets.ingest.verify import HASH_MISMATCH
from paris_assets.ingest.web.opt_out import OPTED_OUT
from paris_assets.settings.checks import Checks


def texts_found(source_rows: pl.LazyFrame, record: Record, bounds: Checks) -> CheckOutcome:
    """Enough of the source rows have a text; if not, which other columns look like one. A source without any passes."""
    texts = source_rows.select("text").collect()["text"]
    share = float((texts.str.strip_chars() != "").fill_null(False).mean() or 0.0)  # type: ignore[arg-type]
    unused, least = record.facts.get("unused_text_columns", []), bounds.min_texts
    few = share < least and (share > 0 or bool(unused))
    said = f"{share:.1%} of {len(texts)} rows have a text" if share or unused else "the source has no texts"
    if few:
        said += f", at least {least:.0%} expected"
    if unused:
        said += f"; not used, though they look like texts: {', '.join(unused)}"
    advice = f"{_where_texts_may_be(record.facts.get('source_kind', 'table'), unused)}, or lower checks.min_texts."
    return CheckOutcome(not few, said, {"with_text": share, "checks.min_texts": least}, advice)


def _where_texts_may_be(kind: str, unused: list[str]) -> str:
    """What gives the rows of a folder, tar or table texts."""
    if unused or kind == "table":
        return f"Name the column of the texts: `--set 'source.columns={{text: {unused[0] if unused else 'NAME'}}}'`"
    if kind == "folder":
        return (
            "Put the texts beside the images (a.txt, a.caption or a.json beside a.jpg; or metadata.jsonl with the "
            "columns file_name and text)"
        )
    return "Put the texts into the tars (members KEY.txt or KEY.json beside KEY.jpg)"


def ledger_complete(shard: str, source_rows: pl.LazyFrame, raw_images: pl.LazyFrame) -> CheckOutcome:
    """Every source row has exactly one ledger row, and every row that failed says why."""
    rows = source_rows.select("source_row").collect()["source_row"]
    ledger = raw_images.select("source_row", "status", "reason", "image_id").collect()
    missing = len(set(rows) - set(ledger["source_row"]))
    repeated = ledger.height - ledger["source_row"].n_unique()
    ok = pl.col("status") == "ok"
    unexplained = ledger.filter(~ok & pl.col("reason").is_null() | ok & pl.col("image_id").is_null()).height
    problems = []
    if missing:
        problems.append(f"{missing} of {len(rows)} source rows have no ledger row")
    if repeated:
        problems.append(f"{repeated} ledger rows repeat a source row")
    if unexplained:
        problems.append(f"{unexplained} ledger rows have neither image_id nor reason")
    figures: Figures = {"missing": missing, "repeated": repeated, "unexplained": unexplained}
    good = f"all {ledger.height} source rows are accounted for"
    return CheckOutcome.of(problems, good, figures, make_again("raw_images", shard))


def fetched(shard: str, raw_images: pl.LazyFrame, record: Record, bounds: Checks) -> CheckOutcome:
    """Enough of the source rows arrived as images; the others have reasons. Rows that are not selected, were taken
    down or are in lists of opt-outs do not count."""
    ledger = raw_images.select("status", "reason").collect()
    skipped = ledger.filter(pl.col("status") == SKIPPED).height
    refused = ledger.filter(pl.col("reason") == TAKEN_DOWN).height
    opted_out = ledger.filter(pl.col("reason") == OPTED_OUT).height
    ledger = ledger.filter(pl.col("status") != SKIPPED, ~pl.col("reason").fill_null("").is_in([TAKEN_DOWN, OPTED_OUT]))
    share = float((ledger["status"] == "ok").mean() or 0.0)  # type: ignore[arg-type]
    least = bounds.min_fetched
    few = ledger.height > 0 and share < least
    said = f"{ledger.height - ledger['reason'].drop_nulls().len()} of {ledger.height} rows fetched ({share:.1%})"
    if few:
        said += f", at least {least:.0%} expected"
    if ledger["reason"].drop_nulls().len():
        said += f"; failed: {counted(ledger['reason'])}"
    if skipped:
        said += f"; {skipped} more are not selected"
    if refused:
        said += f"; {refused} more were taken down"
    if opted_out:
        said += f"; {opted_out} more are in lists of ingest.opt_out"
    advice = _advice(shard, ledger["reason"], record.facts.get("private_hosts", []))
    return CheckOutcome(not few, said, {"fetched": share, "checks.min_fetched": least}, advice)


def _advice(shard: str, reasons: pl.Series, private_hosts: list[str]) -> str:
    """What mends most of the failures."""
    failed = reasons.drop_nulls()
    if private_hosts and (failed == "private_address").sum() * 2 >= failed.len():
        return f"Refused: {how_to_allow(private_hosts)}."
    if failed.str.contains(rf"{TRANSIENT}|^robots_unreachable$").sum() * 2 >= failed.len():
        return f"Once the hosts answer: `paris run --retry transient --shards {shard}`."
    if (failed == "opt_out").sum() * 2 >= failed.len():
        return "The hosts want no use of them: lower checks.min_fetched; ingest.disallowed_header_directives decides."
    if (failed == "robots").sum() * 2 >= failed.len():
        return "Their robots.txt refuses them: lower checks.min_fetched. For hosts that agreed: ingest.robots.obey."
    return "The list is out of date: mend it, or lower checks.min_fetched; docs/running.md says what the reasons mean."


def hashes_match(
    shard: str, source_rows: pl.LazyFrame, raw_images: pl.LazyFrame, profile: Profile, bounds: Checks
) -> CheckOutcome:
    """Most images are those whose sha256 the list gives; without one in the list nothing is said."""
    given = source_rows.filter(pl.col("source_sha256").str.len_chars() == 64).select("source_row", "source_sha256")
    known = raw_images.select("source_row", "sha256", "reason").join(given, on="source_row").collect()
    refused = known.filter(pl.col("reason") == HASH_MISMATCH).height
    arrived = known.drop_nulls("sha256")
    others = int((arrived["sha256"] != arrived["source_sha256"].str.to_lowercase()).sum())
    verified, most = arrived.height + refused, bounds.max_hash_mismatch
    if not verified:
        return CheckOutcome(True, "the list gives no sha256 of an image that arrived", {})
    counted_as = refused if profile.ingest.verify_sha256 == "phash" else refused + others
    share = counted_as / verified
    said = (
        f"{others + refused} of {verified} images have other bytes than the list says, of these {refused} are refused"
    )
    many = share > most
    said += f"; at most {most:.0%} expected" if many else ""
    figures: Figures = {"mismatch": share, "other_bytes": others, "checks.max_hash_mismatch": most}
    advice = f"The hosts changed them since the list was made: see shard {shard} of raw_images, and docs/running.md."
    return CheckOutcome(not many, said, figures, advice)


def stored_as_asked(shard: str, raw_images: pl.LazyFrame, profile: Profile) -> CheckOutcome:
    """What lies in the tar is what `ingest.encode` asks for: the file that its image_id names, or a picture of that
    format and size, with faces looked for where they are to be blurred."""
    ledger, encode = raw_images.filter(pl.col("status") == "ok").collect(), profile.ingest.encode
    wrong = {
        "named_wrong": ledger.filter(pl.col("image_id") != pl.col("sha256").str.head(32)).height,
        "stored_wrong": ledger.filter(_differs(encode).fill_null(True)).height,
        "faces_unknown": ledger["faces_blurred"].null_count() if profile.ingest.blurs_faces else 0,
    }
    words = {
        "named_wrong": "image_ids are not those of the bytes as fetched",
        "stored_wrong": f"images are not stored {_in_words(encode)}",
        "faces_unknown": "images were stored without a look at their faces",
    }
    problems = [f"{count} {words[name]}" for name, count in wrong.items() if count]
    good = f"{ledger.height} rows have an image, stored {_in_words(encode)}"
    if profile.ingest.blurs_faces:
        good += f"; faces were blurred in {(ledger['faces_blurred'] > 0).sum()}"
    return CheckOutcome.of(problems, good, dict(wrong), make_again("raw_images", shard))


def _differs(encode: Encode | None) -> pl.Expr:
    """Whether what is stored is not what is asked for."""
    if encode is None:
        same = ("sha256", "size_bytes", "width", "height", "format")
        stored = ("stored_sha256", "stored_bytes", "stored_width", "stored_height", "stored_format")
        return pl.any_horizontal(pl.col(name) != pl.col(kept) for name, kept in zip(same, stored, strict=True))
    short = pl.min_horizontal("width", "height").cast(pl.Int64)
    expected = {
        name: pl.when(short > encode.short_side)
        .then(shrunk_side(pl.col(name).cast(pl.Int64), short, encode.short_side))
        .otherwise(pl.col(name))
        for name in ("width", "height")
    }
    sizes = [pl.col(f"stored_{name}") != size for name, size in expected.items()]
    return pl.any_horizontal(*sizes, pl.col("stored_format") != encode.stored_format)


def _in_words(encode: Encode | None) -> str:
    if encode is None:
        return "as fetched"
    return f"as {encode.format} with a short side of at most {encode.short_side} pixels"


texts_found_check = shard_check("source_rows")(texts_found)
ledger_complete_check = shard_check("raw_images")(ledger_complete)
fetched_check = shard_check("raw_images")(fetched)
hashes_match_check = shard_check("raw_images")(hashes_match)
stored_as_asked_check = shard_check("raw_images")(stored_as_asked)
