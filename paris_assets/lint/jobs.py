"""One file after the other, several at a time: bring it near, hash it, look into it, let it go."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from paris_assets.lint.file_report import FileReport, hash_of
from paris_assets.lint.local_copies import PACKED, BadPacking, digests, folder_of_copies, local_copy, mapped, unpacked
from paris_assets.lint.mds_index import COMPRESSIONS, File, Shard
from paris_assets.lint.mds_shard import keys_of, lint_shard
from paris_assets.lint.problems import MOST, Problems
from paris_assets.lint.tar_headers import BrokenTar, headers
from paris_assets.lint.webdataset import Chosen, every, key_of, lint_tar
from paris_assets.storage.location import Location


class Job(NamedTuple):
    """A file to be looked into.

    Attributes:
        path: below the location; of an MDS shard that of its uncompressed file.
        shard: what the index says; None for a tar.
        promised: sha256 that a manifest or list states; '' where none does.
        size_bytes: what it states, else None.
    """

    path: str
    shard: Shard | None = None
    promised: str = ""
    size_bytes: int | None = None


@dataclass
class Linter:
    """Looks into files of one location.

    Attributes:
        most: problems of a kind that are listed of a file.
        chosen: which samples are looked into.
        workers: files at a time.
    """

    location: Location
    most: int = MOST
    chosen: Chosen = every
    workers: int = 2

    def run(self, jobs: Sequence[Job]) -> Iterator[FileReport]:
        """A report for each job, in their order."""
        with ThreadPoolExecutor(self.workers, thread_name_prefix="lint") as threads:
            yield from threads.map(self.look, jobs)

    def look(self, job: Job) -> FileReport:
        """What one file shows by itself; it does not raise for what is in it."""
        report = FileReport(Problems(job.path, self.most), str(PurePosixPath(job.path).parent))
        with folder_of_copies() as folder:
            if job.shard is None:
                self._tar(job, report, folder)
            else:
                self._shard(job, job.shard, report, folder)
        return report

    def names(self, job: Job, wanted: set[int]) -> dict[int, str]:
        """Hash -> key of those samples of a file that have one of these hashes."""
        quiet, found = Problems(job.path, 0), dict[int, str]()
        with folder_of_copies() as folder:
            if job.shard is None:
                local = local_copy(self.location, job.path, folder, quiet)
                keys = _keys_of_tar(_plain(local, folder)) if local else iter(())
            else:
                keys = self._keys_of_shard(job, job.shard, folder)
            for key in keys:
                if (found_hash := hash_of(key)) in wanted:
                    found[found_hash] = key.decode(errors="backslashreplace")
        return found

    def _tar(self, job: Job, report: FileReport, folder: Path) -> None:
        local = local_copy(self.location, job.path, folder, report.problems)
        if local is None:
            return
        report.size_bytes = local.stat().st_size
        with mapped(local) as view:
            promised = File(job.path, -1 if job.size_bytes is None else job.size_bytes, {"sha256": job.promised})
            self._compare(view, promised if job.promised else promised._replace(hashes={}), report)
        try:
            with mapped(_plain(local, folder)) as view:
                if not len(view):
                    report.problems.add("empty", "", "no byte in it")
                    return
                lint_tar(view, report, self.chosen)
        except BadPacking as error:
            report.problems.add(error.kind, "", str(error))

    def _shard(self, job: Job, shard: Shard, report: FileReport, folder: Path) -> None:
        local = self._unpacked(job, shard, report, folder)
        if local is None:
            return
        with mapped(local) as view:
            report.size_bytes = len(view)
            self._compare(view, shard.raw, report)
            lint_shard(view, shard, report, self.chosen)

    def _unpacked(self, job: Job, shard: Shard, report: FileReport, folder: Path) -> Path | None:
        """The uncompressed file of a shard, which may lie there as that or packed."""
        packed, base = shard.packed, PurePosixPath(job.path).parent
        there = packed is not None and self.location.size(str(base / packed.name)) is not None
        if packed is None or (not there and self.location.size(job.path) is not None):
            return local_copy(self.location, job.path, folder, report.problems)
        report.problems.file = str(base / packed.name)
        local = local_copy(self.location, report.problems.file, folder, report.problems)
        if local is None:
            return None
        with mapped(local) as view:
            self._compare(view, packed, report)
        how = PACKED.get(COMPRESSIONS.get(shard.compression or "", ""), "snappy")
        try:
            return unpacked(local, how, folder, shard.raw.size_bytes)
        except BadPacking as error:
            report.problems.add(error.kind, "", str(error))
            return None

    def _keys_of_shard(self, job: Job, shard: Shard, folder: Path) -> Iterable[bytes]:
        local = self._unpacked(job, shard, FileReport(Problems(job.path, 0)), folder)
        if local is None:
            return []
        with mapped(local) as view:
            return keys_of(view, shard)

    def _compare(self, view: mmap.mmap | bytes, promised: File, report: FileReport) -> None:
        """Size and hashes, as somebody promised them."""
        if promised.size_bytes not in (-1, len(view)):
            report.problems.add("size_mismatch", "", f"{len(view)} bytes, and {promised.size_bytes} are promised")
            return
        for name, value in digests(view, promised.hashes).items():
            if value != promised.hashes[name].lower():
                report.problems.add("hash_mismatch", "", f"{name} {value}, and {promised.hashes[name]} is promised")


def _plain(local: Path, folder: Path) -> Path:
    """The file, unpacked where its name says that it is packed.

    Raises:
        BadPacking: it cannot be unpacked.
    """
    how = PACKED.get(local.suffix)
    return local if how is None else unpacked(local, how, folder)


def _keys_of_tar(local: Path) -> Iterator[bytes]:
    with mapped(local) as view:
        try:
            for header in headers(view):
                key = key_of(header)
                if key is not None:
                    yield key
        except BrokenTar:
            return  # it was noted
