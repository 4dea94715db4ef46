"""Web image lists to training shards for decentralised diffusion experts."""
