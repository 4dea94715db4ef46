"""Tests and benchmarks of paris_assets."""

import paris_assets  # noqa: F401  # it sets up OpenMP and the heap, before numpy and torch are loaded
