"""What was asked to be taken out of a root, and stays out: a list that the root keeps for itself.

The list is the intent; `raw_images` reads it, and all else follows from what `raw_images` then holds. It is not
published: the manifest says how many there are, and the list's hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from paris_assets.errors import UserError

TAKEDOWNS = "takedowns.json"
ID_DIGITS = 32


class TakedownError(UserError, ValueError):
    """The list of takedowns cannot be read; the message says where and what to do."""


class Takedown(BaseModel):
    """One request.

    Attributes:
        asked: what was named, as it was given.
        when: when it was asked, UTC.
        reason: why, in the words of whoever asked; empty where nothing was said.
        copies: whether near copies that were known then go as well.
        image_ids: images that are refused wherever they come from.
        urls: sha256 of addresses that are asked for no more.
        source_rows: shard -> rows that the images were found in, or that the addresses are of.
        standing: `asset/shard` -> what told it (``Catalog.standing``), of what was up to date then and is to stay as
            it is but for these images.
        shards: those that were registered then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    asked: list[str]
    when: str
    reason: str = ""
    copies: Literal["remove", "keep"] = "remove"
    image_ids: list[str] = []
    urls: list[str] = []
    source_rows: dict[str, list[int]] = {}
    standing: dict[str, str] = {}
    shards: list[str] = []


@dataclass(frozen=True)
class TakedownList:
    """All requests of a root, in the order in which they were made."""

    entries: tuple[Takedown, ...] = ()

    @classmethod
    def parse(cls, data: bytes | None, where: str) -> TakedownList:
        """A list as it is stored; None is an empty one.

        Raises:
            TakedownError: it is none; nothing may be made without knowing what is refused.
        """
        if data is None:
            return cls()
        try:
            return cls(tuple(Takedown.model_validate(entry) for entry in json.loads(data)["takedowns"]))
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            said = str(error).partition("\n")[0]
            raise TakedownError(f"{where} is no list of takedowns ({said}): bring it back from a copy") from error

    def stored(self) -> bytes:
        """The list as it is stored."""
        entries = [entry.model_dump() for entry in self.entries]
        return (json.dumps({"takedowns": entries}, indent=1, ensure_ascii=False) + "\n").encode()

    @property
    def image_ids(self) -> frozenset[str]:
        """Every image that is refused."""
        return frozenset(name for entry in self.entries for name in entry.image_ids)

    @property
    def urls(self) -> frozenset[str]:
        """sha256 of every address that is refused."""
        return frozenset(url for entry in self.entries for url in entry.urls)

    def rows(self, shard: str) -> list[int]:
        """Source rows of a shard that were found, sorted."""
        return sorted({row for entry in self.entries for row in entry.source_rows.get(shard, [])})

    def until(self, entry: Takedown) -> TakedownList:
        """The list as it was before a request."""
        return TakedownList(self.entries[: self.entries.index(entry)])

    def sha256(self) -> str:
        """Hash of what is refused; '' where nothing is. It tells no address, and no reason."""
        if not self.entries:
            return ""
        return hashlib.sha256(json.dumps([sorted(self.image_ids), sorted(self.urls)]).encode()).hexdigest()

    def published(self) -> dict[str, int | str]:
        """What the manifest says of it; empty where nothing was taken down."""
        if not self.entries:
            return {}
        return {"requests": len(self.entries), "images": len(self.image_ids), "sha256": self.sha256()}


def hash_of_url(url: str) -> str:
    """What the list keeps of an address."""
    return hashlib.sha256(url.encode()).hexdigest()


@dataclass(frozen=True)
class Takedowns:
    """The list, as it is when it is read."""

    read: Callable[[], TakedownList]


def pinned(entries: Sequence[Takedown], name: str, standing: str) -> Takedown | None:
    """The first request before which a partition that stands like this was up to date."""
    return next((entry for entry in entries if entry.standing.get(name) == standing), None)
