"""What is wrong with training files, whoever wrote them: WebDataset tars and MDS shards."""
