"""Lists of images to prune and to boost."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from paris_assets.config import Curation
from paris_assets.curation.curated import curate
from paris_assets.curation.image_lists import ListError, boosts, list_problems, listed, write_list
from paris_assets.curation.schema import DUPLICATE_GROUPS, FILTERED_IMAGES
from paris_assets.curation.verdicts import Measured, verdicts
from paris_assets.dag.fingerprint import settings_fingerprint
from paris_assets.definitions import asset_graph
from paris_assets.errors import UsageError
from paris_assets.ingest.schema import RAW_IMAGES, SOURCE_ROWS
from paris_assets.profiles import load_profile
from paris_assets.runs.preflight import setting_problems
from paris_assets.settings.curation import ImageList
from paris_assets.signals.schema import IMAGE_SIGNALS
from paris_assets_tests.fixtures.made_up import ids

A, B, C = ids(3)


def lists(folder: Path, *texts: str) -> list[ImageList]:
    found = []
    for number, text in enumerate(texts):
        path = folder / f"list{number}.csv"
        path.write_text(text)
        found.append(ImageList(path=str(path)))
    return found


def test_the_first_reason_and_the_largest_factor_count(tmp_path: Path) -> None:
    two = lists(
        tmp_path,
        f"image_id,reason,boost\n{A},scans,2\n{B},old,\n{A},again,3\n",
        f"note,reason,image_id\nx,later,{A}\ny,new,{C}\n",
    )
    assert listed(two).rows() == [(A, "scans", 3.0), (B, "old", None), (C, "new", None)]
    assert listed([]).is_empty()
    known = boosts(Curation.model_validate({"boost": [each.path for each in two], "boost_factor": 1.5}))
    assert known is not None
    assert known.rows() == [(A, 3.0), (B, 1.5), (C, 1.5)]
    assert boosts(Curation()) is None


def test_a_factor_that_a_list_leaves_to_the_profile_counts_as_one_that_it_gives(tmp_path: Path) -> None:
    two = lists(tmp_path, f"image_id,reason,boost\n{A},scans,0.5\n{B},scans,3\n", f"image_id,reason\n{A},x\n{B},x\n")
    known = boosts(Curation.model_validate({"boost": [each.path for each in two], "boost_factor": 2.0}))
    assert known is not None
    assert known.rows() == [(A, 2.0), (B, 3.0)]


WRONG = {
    "no header": (f"{A},scans\n", "line 1: no column image_id and reason; there are "),
    "no reason column": (f"image_id\n{A}\n", "line 1: no column reason; there are image_id"),
    "no id": (f"image_id,reason\n{A},x\nphoto.jpg,x\n", "line 3: image_id 'photo.jpg' is not 32 hexadecimal digits"),
    "upper case": (f"image_id,reason\n{A.upper()},x\n", f"line 2: image_id '{A.upper()}' is not"),
    "empty id": ("image_id,reason\n,x\n", "line 2: image_id '' is not 32 hexadecimal digits"),
    "no reason": (f"image_id,reason\n{A},x\n{B}, \n", "line 3: reason ' ' says nothing"),
    "factor of nought": (f"image_id,reason,boost\n{A},x,0\n", "line 2: boost '0' is no number from 0.01 to 100"),
    "factor in words": (f"image_id,reason,boost\n{A},x,1\n{B},x,twice\n", "line 3: boost 'twice' is no number"),
    "factor of nothing": (f"image_id,reason,boost\n{A},x,nan\n", "line 2: boost 'nan' is no number"),
    "empty": ("", "is no CSV with a line of column names"),
    "no text": ("\0\1\2", ""),
}


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG)
def test_a_malformed_list_is_refused_with_file_and_line(text: str, said: str, tmp_path: Path) -> None:
    (wrong,) = lists(tmp_path, text)
    with pytest.raises(ListError) as refused:
        listed([wrong])
    assert str(refused.value).startswith(wrong.path)
    assert said in str(refused.value)
    profile = load_profile("demo", {"curation.prune": wrong.path})
    (problem,) = setting_problems(profile)
    assert problem == f"curation.prune: {refused.value}"


def test_a_list_that_is_not_there_is_refused_before_work(tmp_path: Path) -> None:
    paths = [str(tmp_path / "none.csv"), str(tmp_path), "https://host.example/list.csv"]
    absent, folder, remote = list_problems([ImageList(path=path) for path in paths])
    assert absent == f"{tmp_path}/none.csv cannot be read: No such file or directory; name one that is there"
    assert folder == f"{tmp_path} cannot be read: Is a directory; it is a folder: name a file"
    assert (
        remote == "https://host.example/list.csv is no file of this machine: a list of images is a CSV file on its disk"
    )


def test_what_a_search_writes_can_be_read(tmp_path: Path) -> None:
    found = pl.DataFrame(
        {
            "image_id": [A, B, A],
            "cosine": [0.8, 0.7, 0.9],
            "query": ["a, b", 'said "c"', "two\nlines"],
            "rank": [1, 2, 1],
        }
    )
    path = tmp_path / "prune.csv"
    write_list(str(path), found, 'broken,\n "scans"', 2.5)
    assert pl.read_csv(path).rows() == [
        (A, 0.9, "two lines", 'broken, "scans"', 2.5),
        (B, 0.7, 'said "c"', 'broken, "scans"', 2.5),
    ]
    assert listed([ImageList(path=str(path))]).rows() == [(A, 'broken, "scans"', 2.5), (B, 'broken, "scans"', 2.5)]
    with pytest.raises(UsageError, match=r"prune\.csv is there already"):
        write_list(str(path), found, "again")


LEDGER = RAW_IMAGES.frame(
    [
        {"source_row": row, "image_id": name, "status": "ok", "width": width, "height": 300, "size_bytes": 9}
        for row, (name, width) in enumerate(((A, 300), (B, 30), (C, 300)))
    ]
).lazy()
SOURCES = SOURCE_ROWS.frame([{"source_row": row, "aesthetic": 5.0 + row} for row in range(3)]).lazy()
SIGNALS = IMAGE_SIGNALS.frame([{"image_id": name, "undecodable": False} for name in (A, B, C)]).lazy()
MEASURED = Measured(SOURCES, LEDGER, SIGNALS, None)
RULES = {"signal_rules": [{"name": "short_side", "column": "short_side", "min": 160}]}


def test_a_pruned_image_is_rejected_with_the_reason_of_its_list(tmp_path: Path) -> None:
    (path,) = (each.path for each in lists(tmp_path, f"image_id,reason\n{A},scans\n{B},small\n{ids(9)[-1]},gone\n"))
    plain = verdicts(MEASURED, Curation.model_validate(RULES))
    assert plain["kept"].to_list() == [name != B for name in plain["image_id"]]
    pruned = verdicts(MEASURED, Curation.model_validate({**RULES, "prune": [path]}))
    said = {row["image_id"]: row for row in pruned.to_dicts()}
    assert list(pruned.columns) == [name for name in FILTERED_IMAGES if name not in ("tier", "stopped_by")]
    assert (said[A]["reason"], said[A]["reasons"], said[A]["prune_reason"]) == ("pruned", ["pruned"], "scans")
    assert (said[B]["reason"], said[B]["reasons"]) == ("pruned", ["pruned", "short_side"])
    assert (said[C]["kept"], said[C]["prune_reason"]) == (True, None)


def test_shares_of_the_whole_set_leave_pruned_images_out(tmp_path: Path) -> None:
    from paris_assets.curation.verdicts import quantiles

    (path,) = (each.path for each in lists(tmp_path, f"image_id,reason\n{C},best\n"))
    top = {"quantile_rules": [{"name": "top", "column": "aesthetic", "top": 1.0}], "signal_rules": [], "prune": [path]}
    made = quantiles(["00000"], lambda _: MEASURED, Curation.model_validate(top)).rows
    assert isinstance(made, list)
    (rows,) = made
    assert rows["ranked"].to_list() == [2]


def test_a_curated_image_has_its_factor(tmp_path: Path) -> None:
    groups = DUPLICATE_GROUPS.frame(
        [
            {"shard": "00000", "image_id": name, "source_row": row, "group_id": name, "keeper": True}
            for row, name in ((0, A), (2, C))
        ]
    ).lazy()
    factors = pl.DataFrame({"image_id": [C, ids(9)[-1]], "boost": [4.0, 9.0]})
    rows = curate("00000", groups, LEDGER, SOURCES, None, factors)
    assert dict(rows.select("image_id", "boost").rows()) == {A: 1.0, C: 4.0}
    assert "boost" not in curate("00000", groups, LEDGER, SOURCES)


def test_the_content_of_a_list_counts_and_its_place_is_not_published(tmp_path: Path) -> None:
    from paris_assets.experts.published_settings import published_settings

    (one,) = lists(tmp_path, f"image_id,reason\n{A},x\n")
    profile = load_profile("demo", {"curation.prune": [one.path], "curation.boost": [one.path]})
    graph = asset_graph(profile)
    spec = {name: graph[name] for name in ("filtered_images", "curated_images", "duplicate_groups")}
    before = {name: settings_fingerprint(each, profile) for name, each in spec.items()}
    assert before == {name: settings_fingerprint(each, profile) for name, each in spec.items()}
    Path(one.path).write_text(f"image_id,reason\n{B},x\n")
    changed = [name for name, each in spec.items() if settings_fingerprint(each, profile) != before[name]]
    assert changed == ["filtered_images", "curated_images"]
    assert published_settings(profile)["curation"]["prune"] == [{"path": "list0.csv"}]
