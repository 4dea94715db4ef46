"""Settings of the stage `ingest`."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from paris_assets.demo.sample import from_mark, to_mark
from paris_assets.settings.credentials import refuse_credentials
from paris_assets.settings.section import Section, by_path, tuning

# A path that may lie in the sample: `sample:photos.parquet` in files and on the command line, a full path in memory.
SamplePath = Annotated[str, AfterValidator(from_mark), PlainSerializer(to_mark)]


def _known_codec(name: str) -> str:
    try:
        known = name == "auto" or "".encode(name) is not None
    except LookupError:
        known = False
    if not known:
        raise ValueError(f"{name!r} is no encoding of text that Python knows, such as utf-8, cp1251, gb18030, latin-1")
    return name


@lru_cache(maxsize=1)
def _own_name() -> str:
    try:
        return f"paris_assets/{version('paris_assets')}"
    except PackageNotFoundError:  # read from a folder
        return "paris_assets"


class Source(Section):
    """Where rows come from and how they are cut into shards."""

    path: Annotated[SamplePath, AfterValidator(refuse_credentials)] = Field(
        default="sample:photos.parquet",
        validate_default=True,
        description="table, pattern, folder, tars or URL of the source; `sample:` is the list that the package brings",
    )
    rows_per_shard: int = Field(default=10_000, ge=1, description="source rows per image shard; fixed at registration")
    encoding: Annotated[str, AfterValidator(_known_codec)] = Field(
        default="auto",
        description="of text lists, captions in files and texts stored as bytes: `auto` (a byte-order mark, UTF-16, "
        "UTF-8), or a name that Python knows, such as `cp1251`; a byte-order mark goes before it",
    )
    columns: dict[str, str] = Field(default_factory=dict, description="our column -> the source's, before aliases")


class Encode(Section):
    """How images are kept smaller than they were fetched."""

    short_side: int = Field(
        default=512, ge=16, le=16_383, description="pixels of the short side at most: larger images are made smaller"
    )
    format: Literal["jpg", "webp", "png"] = Field(default="jpg", description="format in which they are kept")
    quality: int = Field(default=95, ge=1, le=100, description="of jpg and webp; png loses nothing")
    blur_faces: bool = Field(
        default=False, description="faces that the source marks in `face_bboxes` are blurred; a row that lacks it fails"
    )
    threads: int = tuning(0, "threads that encode, per shard; 0: one per core", ge=0)

    @property
    def stored_format(self) -> str:
        """The format as the header of a file names it."""
        return {"jpg": "jpeg"}.get(self.format, self.format)


class PerHost(Section):
    """What one host is asked at most, by all processes and machines of a run together."""

    connections: int = tuning(6, "requests in flight; fewer at a host that answers 429 or 503", ge=1)
    requests_per_second: float | None = tuning(
        None, "requests begun; null: as many as its answers make room for. A `Crawl-delay` that is slower holds", gt=0
    )


class Robots(Section):
    """What is done about robots.txt (RFC 9309)."""

    obey: bool = Field(default=True, description="whether a host's robots.txt is read, and what it refuses not fetched")
    agents: list[str] = Field(
        default=["img2dataset"],
        description="other names whose rules are obeyed where a robots.txt names them and not ours",
    )
    max_crawl_delay_s: float = tuning(
        30.0, "longest `Crawl-delay` that is waited for; of a host that asks for a longer one nothing is fetched", ge=0
    )


class OptOutList(Section):
    """A text file of what is not to be fetched; its content is part of the results, wherever it lies."""

    path: str = Field(min_length=1, description="file with a host, url or sha256 per line; `#` begins a comment")

    def files(self) -> list[str]:
        """The list itself."""
        return [self.path]


class Ingest(Section):
    """How images are fetched, and in which form they are kept."""

    max_bytes: int = Field(default=20_000_000, ge=1, description="largest body accepted, bytes")
    max_pixels: int = Field(
        default=100_000_000, ge=1, description="largest width x height accepted, read from the header"
    )
    disallowed_header_directives: list[str] = Field(
        default=["noai", "noimageai", "noindex", "noimageindex", "none", "tdm-reservation"],
        description="X-Robots-Tag directives of an answer that keep its image out, as in img2dataset; "
        "`tdm-reservation` is the field of that name with the value 1; [] ignores them",
    )
    opt_out: Annotated[list[OptOutList], BeforeValidator(by_path)] = Field(
        default_factory=list,
        description="files of hosts (with all below them), urls and sha256 of images that are not fetched or not kept",
    )
    robots: Robots = Field(default=Robots(), description="what is done about robots.txt")
    verify_sha256: Literal["off", "exact", "phash"] = Field(
        default="off",
        description="images whose bytes have another sha256 than the list gives fail as `hash_mismatch` (`exact`), or "
        "only where their pHash differs from the list's, too (`phash`); rows without a hash pass",
    )
    phash_bits: int = Field(
        default=6, ge=0, le=64, description="bits of 64 in which a pHash may differ from the list's (`phash`)"
    )
    encode: Encode | None = Field(
        default=None,
        description="how images are made smaller before they are kept, such as `{short_side: 512}`; null keeps the "
        "bytes as fetched",
    )
    max_redirects: int = Field(default=5, ge=0, description="redirects followed per URL")
    timeout_s: float = tuning(10.0, "seconds for one attempt, connection and body together", gt=0)
    retries: int = tuning(2, "further attempts after a transient failure (timeout, connection, 429, 5xx)", ge=0)
    backoff_s: float = tuning(0.5, "wait before the first retry; doubled for each further one", ge=0)
    max_wait_s: float = tuning(
        30.0, "longest Retry-After that is waited for; a longer one ends a row, of two rows in turn their host", ge=0
    )
    concurrency: int = tuning(64, "requests in flight per shard", ge=1)
    per_host: PerHost = tuning(PerHost(), "what one host is asked at most, by all workers together")
    dns_cache_s: float = tuning(60.0, "seconds for which the addresses of a host are not asked for again", ge=0)
    user_agent: str | None = tuning(
        None,
        "name in the User-Agent header, which robots.txt and X-Robots-Tag know you by; null: paris_assets and its "
        "version",
        pattern=r"^[^\x00-\x1f\x7f]+$",
    )
    contact: str | None = tuning(
        None,
        "web page or mail address in the User-Agent header, by which owners of hosts reach you",
        pattern=r"^(https?://[!-'*-~]+|[!-'*-?A-~]+@[!-'*-?A-~]+)$",
    )
    serve: SamplePath | None = tuning(None, "folder that a loopback web server serves while images are fetched")
    resolve: dict[str, str] = tuning(
        {}, "name or address of a host -> `serve` or `127.0.0.1:port`: the only private addresses allowed"
    )

    @property
    def blurs_faces(self) -> bool:
        """Whether faces that the source marks are to be blurred."""
        return self.encode is not None and self.encode.blur_faces

    @property
    def agent(self) -> str:
        """The name in the User-Agent header."""
        return self.user_agent or _own_name()
