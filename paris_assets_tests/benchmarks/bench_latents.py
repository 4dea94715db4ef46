"""Images per second that the small VAE encodes at 256 px: bf16 channels_last against PyTorch's defaults.

Run it with `python -m paris_assets_tests.benchmarks.bench_latents`.
"""

from functools import partial
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

from tools.small_vae.evaluate import images_per_second
from tools.small_vae.photos import WEIGHTS

BATCH = 4
CASES = {
    "float32, contiguous (default)": (torch.float32, False),
    "float32, channels_last": (torch.float32, True),
    "bfloat16, contiguous": (torch.bfloat16, False),
    "bfloat16, channels_last (ours)": (torch.bfloat16, True),
}


@torch.inference_mode()
def main() -> None:
    """Measure every case once and print the table."""
    print(f"{torch.get_num_threads()} threads, batch {BATCH}, AutoencoderKL.encode, 256 x 256 pixels")
    for name, (dtype, channels_last) in CASES.items():
        memory_format = torch.channels_last if channels_last else torch.contiguous_format
        network: Any = AutoencoderKL.from_pretrained(WEIGHTS, torch_dtype=dtype, use_safetensors=True).eval()
        network.to(memory_format=memory_format)
        images = torch.rand(BATCH, 3, 256, 256).mul(2).sub(1).to(dtype).to(memory_format=memory_format)
        print(f"{name:32s} {images_per_second(partial(network.encode, images), BATCH):7.1f} images/s")


if __name__ == "__main__":
    main()
