from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from paris_assets.clusters import charts
from paris_assets.clusters.assignment import assign
from paris_assets.clusters.centroids import TooFewImages
from paris_assets.clusters.grids import COLUMNS, EMPTY, GAP, HEADER
from paris_assets.clusters.kmeans import fit
from paris_assets.clusters.map_points import Mapped
from paris_assets.clusters.quality import measure
from paris_assets.clusters.report import Told, write_report
from paris_assets.clusters.sweep import swept
from paris_assets.config import Clusters
from paris_assets.pages.pictures import TILE
from paris_assets.vectors.plane import positions
from paris_assets_tests.clusters.learnt import LEARNT

N, SETTINGS = 70, Clusters(k=3, restarts=1, stability_seeds=2)
SAID = "120 rows = 70 distinct images + 50 further rows with the same bytes"
ACCOUNT = [{"stage": "image_signals", "unit": "rows", "count": 120, "said": SAID,
            "parts": {"distinct images": N, "further rows with the same bytes": 50, "of nothing": 0}}]  # fmt: skip
EVIL = '<script>alert("x")</script> $x$ | `code` [a](http://evil.example) & {{ 7*7 }}'
NOTHING = {"images": N, "refused": "of one cluster nothing can be learnt"}
IDS = [f"{row:032x}" for row in range(N)]


def _vectors() -> np.ndarray:
    rng = np.random.default_rng(0)
    centres = np.eye(3, 6)
    vectors = centres[np.repeat([0, 1, 2], [40, 20, 10])] + 0.15 * rng.normal(size=(N, 6))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _picture(image_id: str) -> bytes:
    """A plain colour that tells the image."""
    file = io.BytesIO()
    Image.new("RGB", (40, 60), (int(image_id, 16), 80, 200)).save(file, "PNG")
    return file.getvalue()


def _write(folder: Path, settings: Clusters = SETTINGS) -> tuple[list[str], list[str], pl.DataFrame]:
    """Files, images read, assignments."""
    vectors = _vectors()
    model = fit(vectors, settings, 0)
    table = assign(IDS, vectors, model)
    quality = measure(vectors, table["cluster"].to_numpy(), table, model, settings, 0)
    texts = [EVIL, *(f"photo of thing {row}" for row in range(N - 6))]
    captions = pl.DataFrame({"image_id": IDS[:-5], "caption": texts})
    seen: list[str] = []

    def read(image_id: str) -> bytes:
        seen.append(image_id)
        return _picture(image_id)

    mapped = Mapped(IDS, table["cluster"].to_numpy(), positions(vectors, 0))
    learnt = LEARNT if settings.k == 3 else {**LEARNT, "embeddings": NOTHING, "latents": NOTHING}
    told = Told(ACCOUNT, learnt, mapped, swept(vectors, settings, 0))
    files = write_report(folder, model, quality, table, captions, IDS, vectors, read, settings, 0, told)
    return files, seen, table


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    files, seen, _ = _write(folder)
    assert files == sorted(path.name for path in folder.iterdir())
    assert set(files) == {
        *(f"cluster_{cluster}_grid.png" for cluster in range(3)),
        *(f"cluster_{name}.png" for name in ("sizes", "map", "silhouette")),
        *(f"cluster_report.{kind}" for kind in ("json", "md", "html")),
    }
    assert len(seen) == len(set(seen))
    return folder


def test_same_input_gives_same_bytes(report: Path, tmp_path: Path) -> None:
    for name in _write(tmp_path)[0]:
        assert (tmp_path / name).read_bytes() == (report / name).read_bytes(), name


def test_grids_show_the_nearest_images_in_order_and_leave_the_rest_empty(report: Path) -> None:
    table = assign(IDS, _vectors(), fit(_vectors(), SETTINGS, 0))
    for cluster, shown in ((0, 25), (1, 20), (2, 10)):
        sheet = Image.open(report / f"cluster_{cluster}_grid.png")
        nearest = table.filter(cluster=cluster).sort("distance", "image_id")["image_id"].to_list()
        for place in range(25):
            x = GAP + place % COLUMNS * (TILE + GAP) + TILE // 2
            y = HEADER + GAP + place // COLUMNS * (TILE + GAP + 20) + TILE // 2
            colour = sheet.getpixel((x, y))
            expected = (int(nearest[place], 16), 80, 200) if place < shown else (0xF1, 0xEF, 0xEC)
            assert colour == expected, (cluster, place)
    assert EMPTY == "#f1efec"


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_page_loads_nothing_and_escapes_captions(report: Path) -> None:
    """Its one script is that of the map, which stands in the page: readers zoom it and point at images."""
    text = (report / "cluster_report.html").read_text()
    page = _Page()
    page.feed(text)
    assert [attributes for tag, attributes in page.tags if tag == "script"] == [{}]
    assert not re.search(r"fetch\(|XMLHttpRequest|import\(", text)
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "data-picture"):
            target = attributes.get(name)
            assert target is None or target.startswith(("data:image/webp;base64,", "#")), (tag, target)
        assert not [name for name in attributes if name.startswith("on")]
    assert "@import" not in text
    assert "url(" not in text
    shown = [attributes.get("alt") for tag, attributes in page.tags if tag == "img"]
    assert EVIL in shown
    assert "<script>alert" not in text
    assert "no caption" in shown
    assert "49" not in {attributes.get("alt") for _, attributes in page.tags}
    anchors = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    linked = {str(attributes["href"])[1:] for tag, attributes in page.tags if tag == "a"}
    assert linked <= anchors


def test_probes_and_copies_are_told_with_the_worst_pair(report: Path) -> None:
    said = "clusters 0 and 2 are confused most: 7.5% of their images"
    assert said in json.loads((report / "cluster_report.json").read_text())["learnability"]["said"][0]
    assert "## Can a router learn them" in (report / "cluster_report.md").read_text()
    page = " ".join((report / "cluster_report.html").read_text().split())
    assert "balanced accuracy of a linear probe; 95 % interval 90.0 % to 100.0 %" in page
    assert '<div class="value">1 of 4</div>' in page
    assert page.count('class="matrix"') == 2


def test_markdown_escapes_captions(report: Path) -> None:
    text = (report / "cluster_report.md").read_text()
    assert "<script" not in text.replace("\\<script", "")
    assert "](http" not in text.replace("\\]\\(http", "")
    for line in re.findall(r"!\[.*?\]\((.*?)\)", text):
        assert (report / line).is_file()


def test_rows_of_the_source_and_distinct_images_are_joined(report: Path) -> None:
    assert f"- {SAID.replace('+', chr(92) + '+')}" in (report / "cluster_report.md").read_text()
    assert f"# {N} distinct images, 3 clusters" in (report / "cluster_report.md").read_text()
    page = (report / "cluster_report.html").read_text()
    joined = f"<td>120 rows</td><td><b>{N}</b> distinct images + <b>50</b> further rows with the same bytes</td>"
    assert joined in page
    assert "of nothing" not in page
    assert json.loads((report / "cluster_report.json").read_text())["account"] == ACCOUNT


def test_json_holds_the_figures(report: Path) -> None:
    found = json.loads((report / "cluster_report.json").read_text(), parse_constant=pytest.fail)
    assert found["figures"]["images"] == N
    assert [row["images"] for row in found["clusters"]] == [40, 20, 10]
    assert len(found["clusters"][0]["nearest"]) == 25
    assert found["settings"]["k"] == 3
    assert len(found["between"]) == 12
    assert found["learnability"]["embeddings"]["confusion"] == LEARNT["embeddings"]["confusion"]
    assert all(row["ratio"] >= 1 and row["cluster"] != row["other"] for row in found["between"])


def test_a_single_cluster_has_a_report(tmp_path: Path) -> None:
    _write(tmp_path, Clusters(k=1, stability_seeds=2))
    found = json.loads((tmp_path / "cluster_report.json").read_text())
    assert found["figures"]["silhouette"] is None
    assert found["between"] == []
    assert "No probe could be taught: of one cluster" in (tmp_path / "cluster_report.html").read_text()


def test_colours_of_the_first_24_clusters_differ() -> None:
    assert len({charts.colour(cluster) for cluster in range(24)}) == 24


def test_a_sweep_finds_the_groups_and_is_told_everywhere(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"k": 2, "sweep": [6, 1, 3]})
    assert "cluster_sweep_inertia.png" in _write(tmp_path, settings)[0]
    found = json.loads((tmp_path / "cluster_report.json").read_text())["sweep"]
    assert [row["k"] for row in found["figures"]] == [1, 2, 3, 6]
    assert found["k"] == 3
    assert found["reason"].startswith("k = 3: from 1 up to it inertia falls by")
    assert found["figures"][0]["silhouette"] is None
    assert max(found["figures"][1:], key=lambda row: row["silhouette"])["k"] == 3
    model = fit(_vectors(), SETTINGS, 0)
    assert found["figures"][2]["inertia"] == pytest.approx(model.statistics["inertia"], rel=1e-6)
    assert "## How many clusters" in (tmp_path / "cluster_report.md").read_text()
    assert found["reason"] in (tmp_path / "cluster_report.html").read_text()


def test_a_sweep_beyond_the_images_is_refused() -> None:
    with pytest.raises(TooFewImages, match=r"clusters\.sweep asks for 71 clusters, but .* has 70 images"):
        swept(_vectors(), SETTINGS.model_copy(update={"sweep": [71]}), 0)
