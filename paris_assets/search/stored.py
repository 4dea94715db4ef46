"""The vectors that a root holds: of which encoder, in which shards, and what really made them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from paris_assets.config import Model, Profile
from paris_assets.dag.catalog import Catalog
from paris_assets.dag.tables import Tables
from paris_assets.errors import UsageError, UserError, did_you_mean
from paris_assets.models.registry import ModelError, text_tower_class
from paris_assets.models.threads import ordered_map

EMBEDDER = "embedder"
"""The name of the vectors that clusters are made from, where no encoder before curation made them."""
_NO_VECTORS = (
    "{root} holds no vectors of images: name an encoder in `picture_embeddings` of its profile, such as "
    "--set 'picture_embeddings.clip={{implementation: clip-image, path: FOLDER}}', and run `paris run --root {root}`"
)


@dataclass(frozen=True)
class StoredVectors:
    """The vectors of one encoder under a root.

    Attributes:
        name: of the encoder, as the profile has it.
        encoder: its settings.
        asset, column: where the vectors are.
        shards: those that have them, in the order of registration.
        ran: identities of the networks that really made them.
    """

    name: str
    encoder: Model
    asset: str
    column: str
    shards: list[str]
    ran: list[dict[str, Any]]

    def read(self, tables: Tables, image_ids: pl.Series | None = None) -> Iterator[tuple[pl.Series, np.ndarray]]:
        """image_ids and (N, D) float16 vectors of each shard in turn, the next two being read meanwhile.

        Args:
            image_ids: of these images alone.
        """

        def one(shard: str) -> tuple[pl.Series, np.ndarray]:
            rows = tables.scan(self.asset, [shard]).select("image_id", self.column)
            if image_ids is not None:
                rows = rows.filter(pl.col("image_id").is_in(image_ids.implode()))
            known = rows.drop_nulls().collect()
            return known["image_id"], known[self.column].to_numpy()

        yield from ordered_map(one, self.shards, threads=2, ahead=2, name="vectors")

    def has_texts(self) -> bool:
        """Whether texts can be compared with these vectors."""
        try:
            text_tower_class(self.encoder)
        except ModelError:
            return False
        return True


def stored_vectors(catalog: Catalog, profile: Profile, name: str | None, texts: bool) -> StoredVectors:
    """The vectors to search.

    Args:
        profile: says where the encoders' weights are.
        name: of an encoder; by default the first of the profile, with texts among the queries the first that has a
            text tower.
        texts: whether there are texts among the queries.

    Raises:
        UsageError: no vectors, or none of this encoder.
        ModelError: it has no text tower.
    """
    found = list(_stored(catalog, profile))
    if not found:
        raise UsageError(_NO_VECTORS.format(root=catalog.location.url))
    names = [each.name for each in found]
    if name is not None and name not in names:
        raise UsageError(
            f"--encoder: {catalog.location.url} holds no vectors of {name!r}{did_you_mean(name, names)}; there are "
            f"those of {', '.join(names)}"
        )
    chosen = next((each for each in found if each.name == name), None)
    if chosen is None:
        chosen = next((each for each in found if not texts or each.has_texts()), found[0])
    if texts:
        text_tower_class(chosen.encoder)
    return chosen


def _stored(catalog: Catalog, profile: Profile) -> Iterator[StoredVectors]:
    columns = {name: ("picture_embeddings", name, model) for name, model in profile.picture_embeddings.items()}
    if not columns:
        columns = {EMBEDDER: ("image_embeddings", "embedding", profile.embedder)}
    for name, (asset, column, model) in columns.items():
        setting = f"{asset}.{column}" if asset == "picture_embeddings" else EMBEDDER
        records = [record for shard in catalog.shards() if (record := catalog.record(asset, shard))]
        made = [record for record in records if setting in record.facts.get("models", {})]
        if made:
            ran = [record.facts["models"][setting] for record in made]
            identities = [each for one in ran for each in (one if isinstance(one, list) else [one])]
            yield StoredVectors(name, model, asset, column, [record.shard for record in made], identities)


def require_same_weights(vectors: StoredVectors, found: dict[str, Any]) -> None:
    """Refuse to compare vectors of other weights; precision may differ.

    Args:
        found: identity of the network that makes the queries' vectors.

    Raises:
        UserError: stored vectors are of other weights; says what ran.
    """
    for ran in vectors.ran:
        both = ran.get("sha256") and found.get("sha256")
        # A text tower has no activation of its own to tell.
        asked = ["sha256", "hidden_act"] if both else ["implementation", "source", "revision"]
        asked = [key for key in asked if key in found]
        if any(ran.get(key) != found[key] for key in asked):
            said = ", ".join(f"{key} {ran.get(key)} there and {found.get(key)} here" for key in asked)
            raise UserError(
                f"the vectors of {vectors.name!r} are of other weights ({said}): `paris run` makes them again, or name "
                "a --profile with the weights that made them"
            )
