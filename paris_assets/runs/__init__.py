"""Running the asset graph: what is stale, in which order, in which process, and what came of it."""
