"""Further free photos, out of Debian and npm packages, beside those of `tools.small_vae`."""
