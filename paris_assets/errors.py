"""What stops an asset: a broken invariant, or an input that is not there."""

from __future__ import annotations


class BrokenInvariant(ValueError):
    """Something that must never happen has happened; running again would not help. Becomes a Dagster failure."""


class MissingInput(RuntimeError):
    """A partition that is read has not been made; the message names it."""
