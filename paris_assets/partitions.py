"""Partitions: one key per registered image shard (`00000`, `00001`, ...)."""

import dagster as dg

image_shards = dg.DynamicPartitionsDefinition(name="image_shards")
