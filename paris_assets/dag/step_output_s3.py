"""``step_output`` where the root lies on S3: the captured files are sent there when a run ends."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from dagster_aws.s3.compute_log_manager import S3ComputeLogManager

from paris_assets.dag.step_output import StepOutput


class StepOutputOnS3(S3ComputeLogManager):
    """Dagster's own manager, but for what captures on this machine."""

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> StepOutputOnS3:
        """Dagster's entry point."""
        return cls(inst_data=inst_data, **config_value)

    @property
    def local_manager(self) -> StepOutput:
        """What captures on this machine."""
        return self._captured

    @cached_property
    def _captured(self) -> StepOutput:
        return StepOutput(str(Path(super().local_manager.get_captured_local_path(["any"], "out")).parent))
