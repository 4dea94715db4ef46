"""How many rows each asset gives, from the rows of the source and the share that survives each step."""

from __future__ import annotations

from collections.abc import Mapping

from paris_assets.config import Profile
from paris_assets.dag.graph import Graph, order

ROWS = ""
"""In place of an asset's name: the rows of the source."""
_AFTER = {
    "source_rows": ROWS,
    **dict.fromkeys(("pool_vectors", "caption_figures", "concept_model", "concept_assignments"), "source_rows"),
    **dict.fromkeys(("pool_scores", "pool_selection", "subset_files"), "source_rows"),
    **dict.fromkeys(("image_signals", "picture_embeddings", "copy_embeddings", "content_scores"), "raw_images"),
    **dict.fromkeys(("filtered_images", "score_quantiles"), "raw_images"),
    **dict.fromkeys(("duplicate_groups", "curated_images"), "filtered_images"),
    "training_selection": "cluster_assignments",
    **dict.fromkeys(("expert_shards", "expert_mds", "router_arrays", "training_split"), "training_selection"),
    **dict.fromkeys(("pipeline_manifest", "expert_summary"), "router_arrays"),
}
"""Asset -> whose rows it is made from; `curated_images` where it is not named."""
CONSTANT = (
    *("concept_model", "concept_evidence", "concept_verdicts", "selection_probe", "pool_report", "score_quantiles"),
    *("curation_report", "cluster_model", "cluster_report", "cluster_values", "latent_report", "value_ranges"),
    *("mds_index", "expert_summary", "training_probe"),
)
"""Assets whose size depends on settings, and hardly on rows."""
FITTED = ("cluster_model", "concept_model")
"""Those of them whose work grows with rows all the same."""
SAMPLES = ("expert_shards", "expert_mds", "router_arrays", "training_split")
PASSING = ("picture_embeddings", "copy_embeddings", "content_scores")


def feeder(asset: str, graph: Graph) -> str:
    """Whose rows an asset is made from: an asset of the graph, or ``ROWS``."""
    if asset == "raw_images":
        return "pool_selection" if "pool_selection" in graph else "source_rows"
    return _AFTER.get(asset, "curated_images")


def figure_of(profile: Profile, embedded: bool) -> dict[str, str]:
    """Asset -> name of the assumption on the rows that it gives for each of what it is made from.

    Args:
        embedded: whether the source holds its images.
    """
    return {
        "pool_selection": "selected",
        "raw_images": "readable" if embedded else "fetched",
        **dict.fromkeys(PASSING, "passing"),
        "filtered_images": "kept",
        "curated_images": "unique",
        **({} if profile.latents.upscale else dict.fromkeys(("latents", *SAMPLES), "covered")),
    }


def shares(profile: Profile, figure: Mapping[str, float], embedded: bool) -> dict[str, float]:
    """Asset -> rows that it gives for each of what it is made from, where these are not as many.

    Args:
        figure: name of an assumption -> value.
        embedded: whether the source holds its images.
    """
    return {
        **{asset: figure[name] for asset, name in figure_of(profile, embedded).items()},
        "caption_kinds": float(len(profile.captions.all_kinds)),
        "training_selection": profile.clusters.keep_fraction,
    }


def rows_of(graph: Graph, rows: float, share: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Asset -> (rows in, rows out), in the order of the graph.

    Args:
        rows: of the source.
        share: rows out for each row in; 1 where an asset is not named.
    """

    def out(name: str) -> float:
        if name == ROWS or name not in graph:
            return rows
        return out(feeder(name, graph)) * share.get(name, 1.0)

    return {name: (out(feeder(name, graph)), out(name)) for name in order(graph)}
