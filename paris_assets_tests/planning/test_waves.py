"""Waves come from the graph alone."""

from paris_assets.dag.graph import descendants, order
from paris_assets.definitions import asset_graph
from paris_assets.planning.waves import waves
from paris_assets.profiles import load_profile

GRAPH = asset_graph(load_profile("demo"))


def test_waves_are_the_maximal_chains_between_global_assets() -> None:
    found = [(wave.partitioned, set(wave.assets)) for wave in waves(GRAPH)]
    assert found == [
        (True, {"source_rows", "raw_images", "image_signals", "content_scores", "filtered_images"}),
        (False, {"duplicate_groups"}),
        (True, {"curated_images", "captions", "text_embeddings", "image_embeddings", "latents"}),
        (False, {"cluster_model", "latent_report"}),
        (True, {"cluster_assignments"}),
        (False, {"cluster_report", "cluster_values", "training_split"}),
        (True, {"training_selection", "expert_shards", "router_arrays"}),
        (False, {"expert_summary", "curation_report", "pipeline_manifest", "training_probe"}),
    ]


def test_every_asset_comes_after_its_inputs_in_the_order_and_in_the_waves() -> None:
    names = order(GRAPH)
    number = {name: wave.number for wave in waves(GRAPH) for name in wave.assets}
    assert set(number) == set(GRAPH)
    for name, node in GRAPH.items():
        for upstream in node.inputs:
            assert names.index(upstream) < names.index(name)
            assert number[upstream] <= number[name]


def test_descendants() -> None:
    last = {"expert_summary", "curation_report", "pipeline_manifest", "training_probe"}
    assert descendants(GRAPH, "expert_summary") == last
    assert "latents" not in descendants(GRAPH, "cluster_model")
    assert descendants(GRAPH, "source_rows") == set(GRAPH)
