"""Images per second that the small VAE encodes at 256 px: bf16 channels_last against PyTorch's defaults.

Run it with `python -m paris_assets_tests.benchmarks.bench_latents`.
"""

from pathlib import Path

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

from tools.small_vae.judge import images_per_second

WEIGHTS = Path(__file__).parents[2] / "paris_assets" / "models" / "weights" / "small_vae"
CASES = {
    "float32, contiguous (default)": (torch.float32, False),
    "float32, channels_last": (torch.float32, True),
    "bfloat16, contiguous": (torch.bfloat16, False),
    "bfloat16, channels_last (ours)": (torch.bfloat16, True),
}


def main() -> None:
    """Measure every case once and print the table."""
    print(f"{torch.get_num_threads()} threads, batch 4, AutoencoderKL.encode, 256 x 256 pixels")
    for name, (dtype, channels_last) in CASES.items():
        network = AutoencoderKL.from_pretrained(WEIGHTS).eval()
        print(f"{name:32s} {images_per_second(network, dtype, channels_last):7.1f} images/s")


if __name__ == "__main__":
    main()
