"""What the name of a file says: its kind, or that another program left it there."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from paris_assets.ingest.files import signatures
from paris_assets.ingest.lists import text_tables

COMPRESSIONS = ("gz", "bz2", "xz", "zst")
IMAGE, TAR, PARQUET = "image", "tar", "parquet"
CAPTIONS = ("txt", "text", "caption", "cap")
METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet")  # as `datasets` calls what describes a folder
_TAR = re.compile(r"\.(tar\.(gz|bz2|xz|zst|zstd|lz4|lzma|z)|tgz|tbz2?|txz|tzst)$", re.IGNORECASE)
_KINDS = {
    **dict.fromkeys(signatures.EXTENSIONS, IMAGE), "parquet": PARQUET, "pq": PARQUET, "tar": TAR,
    **{name: name for name in text_tables.FORMATS},
}  # fmt: skip
_ARCHIVES = ("zip", "7z", "rar")
_STATS = re.compile(r"\d+_stats\.json")
_UNFINISHED = ("part", "partial", "crdownload", "download", "tmp", "temp", "incomplete", "aria2", "swp", "lock")
_PROGRAMS = re.compile(
    r"__macosx|_temporary|_tmp|_success|_started_.*|_committed_.*|_metadata|_common_metadata|_delta_log"
    r"|_spark_metadata|__pycache__|@eadir|#recycle|\$recycle\.bin|lost\+found|system volume information"
    r"|(eh)?thumbs\.db|desktop\.ini|icon\r",
    re.IGNORECASE,
)


def kind_of(file: str) -> str:
    """`parquet`, `tar`, `image` or a text format; empty for a file whose name does not tell."""
    name, _, extension = file.rpartition("/")[2].lower().rpartition(".")
    if extension in COMPRESSIONS and name.rpartition(".")[2] in text_tables.FORMATS:
        return name.rpartition(".")[2]
    return _KINDS.get(extension, "")


def extension_of(file: str) -> str:
    """What follows the last dot of a file name, in small letters; empty without one."""
    _, dot, extension = file.rpartition("/")[2].rpartition(".")
    return extension.lower() if dot else ""


def stem_of(file: str) -> str:
    """The path without the last extension of its name; the path itself where there is none."""
    folder, slash, name = file.rpartition("/")
    return folder + slash + (name.rpartition(".")[0] or name)


def composed(path: str) -> str:
    """The same for names that differ in how letters are composed (NFC, NFD)."""
    return path if path.isascii() else unicodedata.normalize("NFC", path)


def alike(path: str) -> str:
    """The same for names that differ in how letters are composed (NFC, NFD), or in small and capital letters."""
    return path.lower() if path.isascii() else composed(path).casefold()


def is_named_for_image(file: str) -> bool:
    """Whether a file describes an image if it has its name."""
    return extension_of(file) in (*CAPTIONS, "json")


def is_metadata(file: str) -> bool:
    """Whether a table is there to describe the images of its folder."""
    return file.rpartition("/")[2].lower() in METADATA


def kind_in_words(file: str) -> str:
    """What a person calls the kind of a file that is not read: `.npy files`."""
    if is_stats(file):
        return "img2dataset statistics"
    if is_compressed_tar(file):
        return "compressed tars (unpack them to have them read)"
    extension = extension_of(file)
    if extension in _ARCHIVES:
        return f".{extension} archives (unpack them to have them read)"
    return f".{extension} files" if extension.isalnum() else "files without extension"


def is_compressed_tar(file: str) -> bool:
    """Whether it is a tar that would have to be unpacked to be read by position."""
    return _TAR.search(file) is not None


def is_stats(file: str) -> bool:
    """Whether img2dataset wrote it about a shard: `00000_stats.json`."""
    return _STATS.fullmatch(file.rpartition("/")[2]) is not None


def leftover(file: str) -> str | None:
    """What a file is that another program put there for itself, or has not finished; None for all else."""
    folder, _, name = file.rpartition("/")
    found = (folder and _hidden_folder(folder)) or _hidden(name)
    if found:
        return found
    return "unfinished files" if extension_of(name) in _UNFINISHED or name.endswith("~") else None


@lru_cache(maxsize=1 << 12)  # of a million files there are few folders
def _hidden_folder(folder: str) -> str | None:
    return next(filter(None, map(_hidden, folder.split("/"))), None)


def _hidden(name: str) -> str | None:
    if name.startswith(".") and name.strip("."):
        return "hidden files"
    return "files of other programs" if _PROGRAMS.fullmatch(name) else None


def hidden_table(file: str) -> bool:
    """Whether Spark, Hive and pyarrow leave a table out: it, or a folder on the way, begins with an underscore."""
    return any(part.startswith("_") and "=" not in part for part in file.split("/"))
