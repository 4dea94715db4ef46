"""From amounts of damage to scores of 0 to 1: score = 1 - exp(-amount / scale), so that half is 0.69 of the scale."""

BLUR_PX = 2.0
"""Deviation of the Gaussian that blurs as much, native pixels."""
NOISE_LEVELS = 15.0
"""Deviation of the noise in the luma, grey levels."""
JPEG_SCALE = 200.0
"""By what libjpeg multiplies its quantisation tables, percent: 50 at quality 75, 250 at 20."""
CAST_LOG = 0.5
"""Length of the shift of (log red : green, log blue : green) of the light."""
