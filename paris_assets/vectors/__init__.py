"""Arithmetic of stored vectors, beside the stages: duplicates compare them, and so does the search."""
