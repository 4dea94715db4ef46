from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import IO

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paris_assets.storage import checksum
from paris_assets.storage.checksum import DamagedFile, VerifiedFiles, intact, seal, sealed_footer
from paris_assets.storage.location import Location

ROWS = pl.DataFrame({"image_id": [f"{number:032x}" for number in range(200)], "value": range(200)})


def sealed() -> bytes:
    file = io.BytesIO()
    ROWS.write_parquet(file)
    seal(file)
    return file.getvalue()


DATA = sealed()


def test_every_reader_reads_a_sealed_file() -> None:
    assert intact(io.BytesIO(DATA))
    assert pl.read_parquet(io.BytesIO(DATA)).equals(ROWS)
    assert pq.read_table(io.BytesIO(DATA)).equals(ROWS.to_arrow(compat_level=pl.CompatLevel.oldest()))
    footer = sealed_footer(io.BytesIO(DATA))
    assert footer
    assert pq.read_metadata(io.BytesIO(footer)).num_rows == 200


@given(st.integers(0, len(DATA) - 1), st.integers(0, 7))
def test_no_flipped_bit_goes_unseen(at: int, bit: int) -> None:
    damaged = bytearray(DATA)
    damaged[at] ^= 1 << bit
    assert not intact(io.BytesIO(damaged))


@given(st.integers(0, len(DATA) - 1))
def test_no_cut_goes_unseen(size: int) -> None:
    assert not intact(io.BytesIO(DATA[:size]))
    assert sealed_footer(io.BytesIO(DATA[:size])) is None


def test_a_plain_file_is_not_sealed() -> None:
    file = io.BytesIO()
    ROWS.write_parquet(file)
    assert not intact(file)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose bytes were read."""
    found: list[str] = []

    def counted(file: IO[bytes]) -> bool:
        found.append(Path(file.name).name)
        return intact(file)

    monkeypatch.setattr(checksum, "intact", counted)
    return found


def damaged() -> bytes:
    middle = len(DATA) // 2
    return DATA[:middle] + bytes([DATA[middle] ^ 1]) + DATA[middle + 1 :]


@pytest.mark.parametrize("shared", [False, True])
def test_a_table_is_read_once_per_version_and_run(tmp_path: Path, looks: list[str], shared: bool) -> None:
    """By the first process that wants it; with a journal, the others of its run take its word."""
    root, journal = Location(tmp_path / "root"), tmp_path / "home" / "verified" if shared else None
    processes = [VerifiedFiles(root, journal) for _ in range(3)]
    names = [f"{number}.parquet" for number in range(4)]
    for name in names:
        root.put_bytes(DATA, name)
    for process in processes:
        for name in names * 2:
            process.check(name)
    assert looks == names * (1 if shared else 3)
    root.put_bytes(DATA, "0.parquet")
    looks.clear()
    for process in processes:
        process.check("0.parquet")
    assert looks == ["0.parquet"] * (1 if shared else 3)


@pytest.mark.parametrize("shared", [False, True])
def test_what_was_written_is_not_read_but_a_later_change_is(tmp_path: Path, looks: list[str], shared: bool) -> None:
    root, journal = Location(tmp_path), tmp_path / "verified" if shared else None
    writer, reader = VerifiedFiles(root, journal), VerifiedFiles(root, journal)
    root.put_bytes(DATA, "t.parquet")
    writer.wrote("t.parquet")
    writer.check("t.parquet")
    assert looks == []
    reader.check("t.parquet")
    assert looks == ["t.parquet"] * (not shared)
    (tmp_path / "t.parquet").write_bytes(damaged())
    for process in (writer, reader):
        for _ in range(2):
            with pytest.raises(DamagedFile, match=r"t\.parquet is damaged: .*Delete it, and run again"):
                process.check("t.parquet")


def test_damage_before_the_first_look_is_found(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(damaged())
    with pytest.raises(DamagedFile):
        VerifiedFiles(Location(tmp_path), tmp_path / "verified").check("t.parquet")
    assert not (tmp_path / "verified").exists()


def test_what_is_absent_or_remote_is_not_checked(tmp_path: Path) -> None:
    verified, remote = VerifiedFiles(Location(tmp_path)), Location("memory://bucket/checksum")
    verified.check("t.parquet")
    remote.put_bytes(b"no table", "t.parquet")
    VerifiedFiles(remote).check("t.parquet")
    (tmp_path / "t.parquet").write_bytes(b"no table")
    with pytest.raises(DamagedFile):
        verified.check("t.parquet")


def test_half_a_line_of_the_journal_is_no_word(tmp_path: Path, looks: list[str]) -> None:
    """Nor is one that two made together on a full disk; what follows counts, and so does a journal begun anew."""
    root, journal = Location(tmp_path), tmp_path / "verified"
    root.put_bytes(DATA, "t.parquet")
    VerifiedFiles(root, journal).check("t.parquet")
    line = journal.read_bytes()
    for content, read in ((line[:-1], 1), (line[:9] + line, 1), (line[:9] + b"\n" + line, 0), (b"", 1)):
        looks.clear()
        journal.write_bytes(content)
        VerifiedFiles(root, journal).check("t.parquet")
        assert len(looks) == read, content
    late = VerifiedFiles(root, journal)
    journal.write_bytes(line[:-1])
    root.put_bytes(DATA, "other.parquet")
    late.check("other.parquet")
    journal.write_bytes(line)
    looks.clear()
    late.check("t.parquet")
    assert looks == []


TELL = """
import sys
from pathlib import Path
from typing import IO
from paris_assets.storage import checksum
from paris_assets.storage.checksum import VerifiedFiles
from paris_assets.storage.location import Location
verified = VerifiedFiles(Location(sys.argv[1]), Path(sys.argv[2]))
for number in range(300):
    verified.wrote(f"{number}.parquet")
"""


def test_processes_write_one_journal(tmp_path: Path, looks: list[str]) -> None:
    root, journal = tmp_path / "root", tmp_path / "verified"
    root.mkdir()
    for number in range(300):
        (root / f"{number}.parquet").write_bytes(DATA)
    command = [sys.executable, "-c", TELL, str(root), str(journal)]
    writers = [subprocess.Popen(command) for _ in range(2)]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert len(journal.read_bytes().splitlines()) == 600
    reader = VerifiedFiles(Location(root), journal)
    for number in range(300):
        reader.check(f"{number}.parquet")
    assert looks == []
