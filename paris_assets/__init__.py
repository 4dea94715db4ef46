"""Web image lists to training shards for decentralised diffusion experts."""

import os

# OpenMP threads that wait by spinning take the cores from decoders: six times slower on a busy machine. It has to be
# set before torch or onnxruntime is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
