"""Invariants: what must hold whatever the data, so that a run stops when it does not."""

from __future__ import annotations


class BrokenInvariant(ValueError):
    """Something that must never happen has happened; running again would not help. Becomes a Dagster failure."""
