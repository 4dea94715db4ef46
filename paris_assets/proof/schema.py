"""The table of this stage."""

import polars as pl

from paris_assets.storage.schema import Schema, every

_FILES = every("pipeline_manifest", "path", "sha256")
TRAINING_PROBE = Schema(
    {
        "image_id": (pl.String, "held-out image", *_FILES),
        "group_id": (pl.String, "its duplicate group: what intervals are taken over", *_FILES),
        "cluster": (pl.Int32, "its expert", *_FILES),
        "upscaled": (pl.Boolean, "whether it was enlarged before encoding", *_FILES),
        "fold": (pl.Int32, "number of the hold-out in which it was measured"),
        "t": (pl.Float64, "time: 0 is the clean latent, 1 is noise"),
        "untrained": (pl.Float64, "mean squared error of velocities, of the network before training", *_FILES),
        "common": (
            pl.Float64,
            "of the network that all experts start from, trained on as long as one of them",
            *_FILES,
        ),
        "monolith": (pl.Float64, "of the same, trained on for the steps of all experts together", *_FILES),
        "experts": (pl.List(pl.Float64), "of each expert, by rising number of the cluster", *_FILES),
        "top_1": (pl.Float64, "of the expert that the router finds likeliest", *_FILES),
        "top_2": (pl.Float64, "of the weighted velocities of the two likeliest", *_FILES),
        "full": (pl.Float64, "of the weighted velocities of all", *_FILES),
        "uniform": (pl.Float64, "of the mean velocity of all", *_FILES),
        "routed": (pl.List(pl.Int32), "cluster that the router finds likeliest, for each noise", *_FILES),
        "confidence": (pl.List(pl.Float64), "probability that it gives it", *_FILES),
        "nll": (pl.Float64, "mean negative log probability of the image's own expert, nats", *_FILES),
        "permuted": (pl.List(pl.Int32), "the same of a router that was trained on permuted labels", *_FILES),
    }
)
