"""Arithmetic of stored vectors, beside the stages: cosines, nearest neighbours, k-means."""
