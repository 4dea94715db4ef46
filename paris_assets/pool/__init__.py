"""Choosing rows of a source before anything is fetched: vectors, concepts, judges, selectors, subsets."""
