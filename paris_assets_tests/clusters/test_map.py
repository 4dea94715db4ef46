"""The map of the cluster report: what it shows of few and of many clusters, and what a reader does with it."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from paris_assets.clusters import map_points
from paris_assets.clusters.centroids import ClusterModel
from paris_assets.clusters.contents import Contents
from paris_assets.clusters.map_points import Mapped
from paris_assets.clusters.page import render
from paris_assets.clusters.quality import Quality
from paris_assets.clusters.report import Told, findings_of
from paris_assets.config import Clusters
from paris_assets.pages.pictures import Pictures
from paris_assets_tests.clusters.learnt import LEARNT, probed
from paris_assets_tests.fixtures.browser import needs_browser, seen

EVIL = '</title></script><script>alert("x")</script> {{ 7*7 }} & <b>'
PHOTO_LIKE = 64  # pixels of noise, enlarged: about as large as a photo once it is encoded


@cache
def picture(number: int) -> bytes:
    drawn = np.random.default_rng(number)
    small = Image.fromarray(drawn.integers(0, 255, (6, 6, 3), np.uint8)).resize((PHOTO_LIKE, PHOTO_LIKE))
    noisy = np.asarray(small).astype(int) + drawn.integers(-14, 14, (PHOTO_LIKE, PHOTO_LIKE, 3))
    file = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).resize((160, 160)).save(file, "BMP")
    return file.getvalue()


def page_of(k: int, images: int) -> str:
    """A report's page of so many clusters, whose images are alike in size to those of photos."""
    drawn, ids = np.random.default_rng(0), [f"{row:032x}" for row in range(images)]
    labels = (np.arange(images) % k).astype(np.int32)
    model = ClusterModel(
        drawn.normal(size=(k, 4)).astype(np.float32), None, None, "nearest", True, statistics={"fine": None}
    )
    captions = {name: f"photo number {row} " + "of a thing " * 9 for row, name in enumerate(ids)}
    captions[ids[0]] = EVIL
    near = [ids[number::k][:25] for number in range(k)]
    words = [[f"word{number}", "tree"] for number in range(k)]
    contents = Contents(near, words, [(number + 1) % k for number in range(k)], [], captions, ids, labels)
    row = {"images": images // k, "share": 1 / k, "mean_distance": 0.5, "boundary_fraction": 0.4}
    rows = [{"cluster": number, **row, "silhouette": 0.1, "cohesion": 0.3} for number in range(k)]
    figures = dict.fromkeys(("silhouette", "boundary_fraction", "stability_mean", "davies_bouldin"), 0.1)
    figures |= {"effective_clusters": float(k), "k": k, "images": images, "sample": images, "largest_share": 1 / k}
    figures |= {"intra_cluster_cosine": 0.3, "inter_cluster_cosine": 0.1}
    quality = Quality(figures, rows, np.full(images, 0.1))
    shown = map_points.chosen(pl.LazyFrame({"image_id": ids, "cluster": labels}), ids, k)
    mapped = Mapped(shown, labels[[int(name, 16) for name in shown]], drawn.random((len(shown), 2)))
    learnt = {**LEARNT, "embeddings": probed(numbers=[0, 1, 2])}
    told = findings_of(model, quality, contents, Clusters(k=k), 0, Told([], learnt, mapped))
    return render(told, contents, quality.silhouettes, mapped, Pictures(lambda name: picture(int(name, 16) % 97)))


def test_every_cluster_is_on_the_map_and_large_ones_show_as_such() -> None:
    ids = [f"{row:032x}" for row in range(30_000)]
    labels = np.where(np.arange(30_000) < 2600, np.arange(30_000) // 2, 0)  # 1,300 clusters, one of them large
    drawn = np.random.default_rng(0).permutation(labels)
    assigned = pl.LazyFrame({"image_id": ids, "cluster": drawn.astype(np.int32)})
    shown = map_points.chosen(assigned, ids[:5000], 1300)
    assert len(shown) == map_points.POINTS
    assert shown == sorted(set(shown))
    of = np.bincount(drawn[[int(name, 16) for name in shown]], minlength=1300)
    assert of.min() == 1
    assert of[0] > 400
    few = map_points.chosen(assigned.head(50), ids[:50], 8)
    assert few == ids[:50]


def test_pictures_end_where_their_bytes_do_and_clusters_take_turns() -> None:
    labels = np.repeat([0, 1, 2], [10, 5, 1]).astype(np.int32)
    mapped = Mapped([f"{row:032x}" for row in range(16)], labels, np.random.default_rng(0).random((16, 2)))
    pictures = Pictures(lambda name: picture(int(name, 16)))
    whole = map_points.points(mapped, lambda _: "", pictures)
    assert all(point["picture"].startswith("data:image/webp;base64,") for point in whole)
    sizes = [len(point["picture"]) for point in whole]
    cut = map_points.points(mapped, lambda _: "", pictures, int(5.5 * np.mean(sizes)))
    held = [point["cluster"] for point in cut if point["picture"]]
    assert 4 <= len(held) <= 7
    assert set(held) == {0, 1, 2}
    assert not any(point["drawn"] for point in cut if not point["picture"])


def test_pictures_on_the_map_do_not_lie_on_each_other() -> None:
    mapped = Mapped(
        [f"{row:032x}" for row in range(60)], np.zeros(60, np.int32), np.random.default_rng(1).random((60, 2))
    )
    found = map_points.points(mapped, lambda _: "x" * 500, Pictures(lambda _: picture(1)))
    spots = np.array([[point["x"], point["y"]] for point in found if point["drawn"]])
    apart = np.abs(spots[:, None] - spots).max(-1) + 1000 * np.eye(len(spots))
    assert apart.min() >= map_points.SPACING - 0.2
    assert all(len(point["caption"]) == map_points.CAPTION for point in found)
    assert [point["drawn"] for point in found] == sorted(point["drawn"] for point in found)


LOOK = """
const map = document.getElementById("map"), box = document.querySelector(".tip"), marks = [...map.children];
const asked = marks.filter((_, place) => place % Math.ceil(marks.length / 40) === 0);
const width = () => +map.getAttribute("viewBox").split(" ")[2];
const told = asked.map((mark) => {
  mark.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, pointerType: "mouse" }));
  const image = box.querySelector("img"), words = /of a thing|alert/.test(box.textContent);
  return !box.hidden && words && box.textContent.includes("cluster ") && image?.src.startsWith("data:image/webp");
});
const whole = width();
document.querySelector("[data-zoom]").click();
const clicked = width(), hidden = box.hidden;
map.dispatchEvent(new WheelEvent("wheel", { deltaY: -300, ctrlKey: true, clientX: 200, clientY: 400 }));
const wheeled = width(), at = map.getAttribute("viewBox");
map.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
const moved = map.getAttribute("viewBox") !== at, shrunk = +map.style.getPropertyValue("--shrink");
map.dispatchEvent(new KeyboardEvent("keydown", { key: "0" }));
const field = document.querySelector("[data-only]");
if (field) { field.value = "7"; field.dispatchEvent(new Event("input")); }
const loaded = performance.getEntriesByType("resource").map((entry) => entry.name);
return {
  marks: marks.length, asked: asked.length, told: told.filter(Boolean).length, scripts: document.scripts.length,
  whole, clicked, hidden, wheeled, moved, shrunk, again: width(),
  alone: field ? marks.filter((mark) => getComputedStyle(mark).display !== "none").length : null,
  wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  loaded: loaded.filter((name) => !name.startsWith("data:")),
};
"""


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize(
    ("k", "images", "width"),
    [(1300, 2600, 1200), *(pytest.param(8, *rest, marks=pytest.mark.extended) for rest in ((400, 1200), (60, 500)))],
)
def test_a_reader_points_and_zooms(tmp_path: Path, k: int, images: int, width: int) -> None:
    page = page_of(k, images)
    assert len(page.encode()) < 5_000_000
    found = seen(page, LOOK, tmp_path, width)
    assert found["marks"] == min(images, map_points.POINTS)
    assert found["asked"] >= 30
    assert found["told"] == found["asked"]  # caption, cluster and picture
    assert found["scripts"] == 2  # that of the map and this: none from a caption
    assert (found["whole"], found["clicked"], found["hidden"]) == (1000, 625, True)
    assert found["wheeled"] < found["clicked"]
    assert found["moved"]
    assert found["shrunk"] == pytest.approx((found["wheeled"] / 1000) ** 0.5)
    assert found["again"] == 1000
    assert found["alone"] == (None if k == 8 else sum(row % k == 7 for row in range(map_points.POINTS)))
    assert found["wide"] <= 0
    assert found["loaded"] == []
