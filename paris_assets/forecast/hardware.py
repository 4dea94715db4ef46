"""Machines whose hours are counted: a small table that ships, or a file of the user's own."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from paris_assets.errors import UsageError, did_you_mean, explained
from paris_assets.settings.section import Section
from paris_assets.settings.yaml_fault import yaml_fault

SHIPPED = Path(__file__).with_name("hardware.yaml")
Precision = Literal["fp32", "bf16", "fp16"]
Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]
CPU = "cpu"


class Hardware(Section):
    """One kind of GPU, or of a core of a CPU; see ``hardware.yaml`` for what each figure is of."""

    named: str = Field(min_length=1, description="what the driver calls it, or words of that")
    memory_gb: Amount = Field(description="memory of one, GB")
    bandwidth_gb_s: Amount = Field(description="bandwidth of its memory, GB/s")
    tflops: dict[Precision, Amount] = Field(min_length=1, description="dense peak by precision, 10^12 per second")
    cores: Amount = Field(default=8, description="cores of a CPU that come with one")
    dollars_per_hour: float = Field(ge=0, allow_inf_nan=False, description="price of one for an hour")
    price_source: str = Field(default="", description="where the price is from, and when")

    @property
    def is_cpu(self) -> bool:
        """Whether one of it is a core of a CPU."""
        return self.named == CPU

    def precision(self, asked: str) -> Precision | None:
        """What a network is computed in; None where the hardware has no such arithmetic.

        Args:
            asked: of the profile; ``auto`` is bf16 where a GPU has it, else fp32.
        """
        if asked != "auto":
            return next((known for known in self.tflops if known == asked), None)
        native = not self.is_cpu and "bf16" in self.tflops
        return "bf16" if native else "fp32" if "fp32" in self.tflops else next(iter(self.tflops))


def hardware_table(path: Path = SHIPPED) -> dict[str, Hardware]:
    """Name -> hardware, as a file has them.

    Raises:
        UsageError: the file is none of this form; names the entry and what is wrong.
        FileError: it cannot be read.
    """
    with explained(path):
        text = path.read_text()
    try:
        found: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not valid YAML: {yaml_fault(error)}") from error
    if not isinstance(found, dict) or not found:
        raise UsageError(f"{path} names no hardware: give entries such as those of {SHIPPED}")
    table = {}
    for name, values in found.items():
        try:
            table[str(name)] = Hardware.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, (name, *first["loc"])))
            raise UsageError(f"{path}: {where}: {first['msg']}; {SHIPPED} has examples") from error
    return table


@cache
def shipped_hardware() -> dict[str, Hardware]:
    """The table that ships."""
    return hardware_table()


def chosen_hardware(asked: str) -> tuple[str, dict[str, Hardware]]:
    """(name, table with it) of what is asked for: a name of the shipped table, or a file whose first entry counts.

    Raises:
        UsageError: no such hardware, and what was perhaps meant.
    """
    if asked.endswith((".yaml", ".yml")):
        table = hardware_table(Path(asked))
        return next(iter(table)), table
    table = shipped_hardware()
    if asked.lower() not in table:
        known = ", ".join(table)
        meant = did_you_mean(asked.lower(), table)
        raise UsageError(f"--hardware: no {asked!r}{meant}; there are {known}, or give a YAML file of your own")
    return asked.lower(), table
