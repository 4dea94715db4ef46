"""Which samples have to be there, by the tables that they are made of: what checks hold published files against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

import polars as pl

from paris_assets.config import Profile
from paris_assets.experts.samples import SampleTables


class Published:
    """Samples that files hold, against those that have to be there.

    Attributes:
        samples: image_id -> how often it was found.
    """

    def __init__(self, tables: SampleTables) -> None:
        self.samples: Counter[str] = Counter()
        self._tables, self._wanted, self._misplaced = tables, published_clusters(tables), 0

    def add(self, cluster: int, image_ids: Collection[str]) -> None:
        """Samples of a file of an expert, an image once for each time it is there."""
        self.samples.update(list(image_ids))
        self._misplaced += sum(self._wanted.get(image_id) != cluster for image_id in image_ids)

    def figures(self, rejected: int) -> dict[str, int]:
        """How many samples are ``missing``, there ``twice``, and ``misplaced`` in the files of another expert.

        Args:
            rejected: see ``lost_samples``.
        """
        return {
            "missing": len(set(self._wanted) - set(self.samples)) + lost_samples(self._tables, self._wanted, rejected),
            "twice": sum(count > 1 for count in self.samples.values()),
            "misplaced": self._misplaced,
        }


def published_clusters(tables: SampleTables) -> dict[str, int]:
    """image_id -> cluster of what has to be published: selected images with a latent and a caption with words."""
    captioned = tables.captions.filter(pl.col("caption") != "").select("image_id")
    placed = tables.latents.select("image_id").join(captioned, on="image_id", how="semi")
    selected = tables.selection.filter("selected").select("image_id")
    clusters = tables.assignments.select("image_id", "cluster")
    rows = clusters.join(selected, on="image_id", how="semi").join(placed, on="image_id", how="semi")
    return dict(rows.collect().iter_rows())


def larger_members(latents: pl.LazyFrame, profile: Profile) -> dict[str, set[str]]:
    """image_id -> members with the latents of further sizes that the image has; images without any are left out."""
    sizes = sorted(profile.latents.resolutions)[1:]
    has = {f"latent_{size}.npy": pl.col(f"latent_{size}").is_not_null() for size in sizes}
    if not has:
        return {}
    rows = latents.select("image_id", **has).collect().iter_rows()
    return {image_id: {name for name, there in zip(has, held, strict=True) if there} for image_id, *held in rows}


def lost_samples(tables: SampleTables, published: dict[str, int], rejected: int) -> int:
    """Selected images that are not published, though their caption has words and the latents stage did not reject them.

    Latents that no reject explains may be missing from any image.

    Args:
        rejected: images that the latents stage rejected; it counts them and names none.
    """
    selected = set(_ids(tables.selection.filter("selected")))
    left = selected - set(published) - set(_ids(tables.captions.filter(pl.col("caption") == "")))
    absent = set(_ids(tables.curated.join(tables.latents, on="image_id", how="anti")))
    return len(left - absent) + min(len(left & absent), max(0, len(absent) - rejected))


def _ids(table: pl.LazyFrame) -> pl.Series:
    return table.select("image_id").collect()["image_id"]
