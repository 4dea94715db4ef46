"""Vectors that lie beside the rows of a source: in files of the same name, or in columns."""
