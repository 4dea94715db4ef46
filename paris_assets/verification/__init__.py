"""`paris verify`: what was published, held against its manifest and against the tables that it was made from."""
