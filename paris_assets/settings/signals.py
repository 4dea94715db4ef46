"""Settings of the stage `signals`; its networks are named in `scores` of the profile."""

from __future__ import annotations

from pydantic import Field

from paris_assets.settings.section import Section, tuning


class Signals(Section):
    """CPU measurements of one decode."""

    measures: list[str] = Field(
        default=[
            "paris_assets.signals.entropy:Entropy",
            "paris_assets.signals.blocking:Blocking",
            "paris_assets.signals.degradation:Degradation",
            "paris_assets.signals.perceptual_hash:PerceptualHash",
        ],
        description="signal classes by import path; each adds its columns",
    )
    threads: int = tuning(0, "decode threads; 0: one per core", ge=0)

    def import_paths(self) -> list[str]:
        """The signal classes."""
        return self.measures
