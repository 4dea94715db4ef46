"""What a run is reckoned on, and how much of it is at work at once."""

from __future__ import annotations

from dataclasses import dataclass

from paris_assets.forecast.hardware import Hardware


@dataclass(frozen=True)
class Machines:
    """What is there, and paid for.

    Attributes:
        name: of the hardware, one GPU or one core.
        core: of a CPU, in the table of the hardware.
        count: GPUs, or cores.
        price: dollars per hour of one.
    """

    name: str
    hardware: Hardware
    core: Hardware
    count: int
    price: float

    @property
    def cores(self) -> float:
        """Cores of all of them."""
        return self.count * self.hardware.cores


@dataclass(frozen=True)
class AtWork:
    """What a run keeps busy, by the rules of ``runs.processes``: a worker has a shard, what runs networks has one GPU,
    and each has its share of the cores, whether the others have work or not.

    Attributes:
        workers: processes of the run, or actors of a cluster.
        shards: of the source.
    """

    machines: Machines
    workers: int
    shards: int

    def processes(self, partitioned: bool) -> int:
        """Workers with something to do at once; a step over all shards is one."""
        return min(self.workers, self.shards) if partitioned else 1

    def gpus(self, partitioned: bool) -> int:
        """GPUs with something to do at once; without workers the command itself uses one."""
        return min(self.machines.count, self.processes(partitioned))

    def cores(self, partitioned: bool, on_gpu: bool) -> float:
        """Cores of those that have something to do.

        Args:
            on_gpu: whether it is work of the processes that have a GPU, which share out all cores among themselves.
        """
        machines, active = self.machines, self.processes(partitioned)
        if on_gpu:
            return machines.cores * self.gpus(partitioned) / min(self.workers, machines.count)
        alone = active == 1 and (machines.hardware.is_cpu or not partitioned)  # done by the command itself, with all
        return machines.cores if alone else machines.cores * active / self.workers

    def idle(self) -> list[str]:
        """In words, what nothing is done with while networks run, and what would use it."""
        machines, used, found = self.machines, self.gpus(True), []
        shards = f"{self.shards:,} shard{'s' if self.shards > 1 else ''}"
        if not machines.hardware.is_cpu and used < machines.count:
            found.append(
                f"{used} of {machines.count} GPUs at work, the others idle and paid for: a run has a GPU for each "
                f"worker and a worker for each shard, and here are {shards} and --workers {self.workers}"
                f"{self._advice(min(machines.count, self.shards))}"
            )
        if self.workers > self.shards:
            found.append(f"{self.shards} of {self.workers} workers have work: the source has {shards}")
        return found

    def _advice(self, wanted: int) -> str:
        return f": --workers {wanted} uses {wanted}" if wanted > self.workers else ""
