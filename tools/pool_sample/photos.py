"""What the sample photos show: a class, a phrase with its article, and the name that the photo's title gives."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

CLASSES = {  # start of the file's name -> class; the first that fits
    "categorization_fishes": "fish",
    "categorization_monuments": "monument",
    "explore_monuments": "monument",
    "categorization_renewable_windmill": "windmill",
    "categorization_renewable_solar": "solar",
    "categorization_renewable": "dam",
    "categorization_tools": "tool",
    "categorization_others": "object",
    "clickgame_sea": "sea",
    "explore_farm_animals": "animal",
    "explore_world_animals": "animal",
    "explore_world_music": "music",
}
PLACES = {"egypt": "Egypt", "france": "France", "germany": "Germany", "india": "India", "usa": "the United States"}
PHRASES = {  # where the file's name alone makes no phrase
    "arcDeTriomphe": "the Arc de Triomphe du Carrousel",
    "bayterek": "the Bayterek tower",
    "blackslate": "a blackboard",
    "buffetset": "a painted cup and saucer",
    "burj": "the Burj tower",
    "cathedral": "the cathedral of Santiago de Compostela",
    "erasers": "the shreddings of an eraser",
    "geothermal": "a geothermal power plant",
    "dam": "a dam across a river",
    "kutubMinar": "the Qutb Minar",
    "leMusee": "the Louvre",
    "monument1": "the Dome of the Rock",
    "monument2": "a tetrapylon",
    "monument3": "a jubilee church",
    "navajo": "cliff dwellings of the Navajo monument",
    "pan": "a frying pan of cast iron",
    "plier": "a pair of pliers",
    "scissors": "a pair of scissors",
    "solar1": "a solar cooker",
    "solar2": "a solar oven",
    "solar3": "solar ovens",
    "solar4": "a solar tracker",
    "solar8": "solar collectors",
    "solar": "solar panels",
    "spoons": "a set of spoons",
    "tweezer": "a pair of tweezers",
    "weighingMachine": "a laboratory balance",
    "zimniPalace": "the Winter Palace at night",
    "sea1": "ruins under the sea",
    "sea2": "a sunken harbour under the sea",
    "sea3": "fish behind a porthole",
    "sea4": "black coral",
    "sea5": "life under the sea",
    "sea6": "a basket starfish",
    "dragon": "a Komodo dragon",
    "africa": "bata drums",
    "italy": "a scene of an opera",
    "japan": "Japanese drums",
    "mexico": "a mariachi band",
    "middleeast": "a long-necked lute",
}


@dataclass(frozen=True)
class Photo:
    """A photo of the sample: `phrase` fits into "a photo of ..."; `name` is its title without numbers, or empty."""

    file: str
    shows: str
    phrase: str
    name: str
    place: str
    author: str
    width: int
    height: int

    @property
    def stem(self) -> str:
        """The file's name without folder and ending."""
        return Path(self.file).stem


def read_photos(sample: Path) -> list[Photo]:
    """All photos of the folder's `credits.jsonl`, by file."""
    credits = map(json.loads, (sample / "credits.jsonl").read_text().splitlines())
    return [_photo(row) for row in sorted(credits, key=lambda row: row["file"])]


def _photo(row: dict) -> Photo:
    stem = Path(row["file"]).stem
    shows = next(shown for start, shown in CLASSES.items() if stem.startswith(start))
    parts = stem.split("_")
    place = next((PLACES[part] for part in parts if part in PLACES), "")
    last = stem.partition("_animals_animals_")[2] or parts[-1]
    return Photo(
        row["file"],
        shows,
        _phrase(last, shows),
        _name(row["alt"]),
        place,
        row["author"],
        row["width"],
        row["height"],
    )


def _phrase(last: str, shows: str) -> str:
    bare = last.rstrip("0123456789")
    if known := PHRASES.get(last) or PHRASES.get(bare):
        return known
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", bare).replace("_", " ")
    if shows == "monument":
        return f"the {' '.join(word[0].upper() + word[1:] for word in words.split())}"
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words.lower()}"


def _name(alt: str) -> str:
    """`Dutch windmill at Kinderdijk pic43` -> `Dutch windmill at Kinderdijk`; empty where fewer than two words stay."""
    words = [word for word in re.split(r"[\s_]+", re.sub(r"\(.*?\)", " ", alt)) if not re.search(r"\d", word)]
    name = " ".join(words).strip(" -,^")
    return name if len(name.split()) > 1 else ""
