"""Which assets of this stage a profile has, and what they read."""

from paris_assets.config import Profile


def has_tars(profile: Profile) -> bool:
    """Whether samples are written as WebDataset tars."""
    return "webdataset" in profile.experts.formats


def has_mds(profile: Profile) -> bool:
    """Whether samples are written as MDS files."""
    return "mds" in profile.experts.formats


def has_codec(profile: Profile) -> bool:
    """Whether arrays are stored as uint8."""
    return profile.experts.codec is not None


READS_WEIGHTS = {"sampling_weights": lambda profile: profile.concepts.used}
READS_RANGES = {"value_ranges": has_codec}
READS_FILES = {"expert_shards": has_tars, "expert_mds": has_mds}
