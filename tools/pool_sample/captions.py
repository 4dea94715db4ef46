"""Captions of the pool: good ones of several wordings, and the junk that stands in alt texts."""

from __future__ import annotations

from random import Random

from tools.pool_sample.photos import Photo

WORDINGS = (
    "a photo of {phrase}{place}",
    "Photograph of {phrase}{place}",
    "{Phrase}{place}, photographed by {author}",
    "A picture that shows {phrase}",
    "{Phrase}: a view{place}",
    "{name}",
    "{name}, {phrase}",
    "Photo of {phrase} ({name})",
)
PLACEHOLDERS = (
    "image description",
    "untitled",
    "no alt text",
    "image",
    "photo",
    "thumbnail",
    "placeholder",
    "Click to enlarge",
    "Share on social media",
    "Loading, please wait...",
    "We use cookies to improve your experience",
    "Skip to main content",
    "Your browser does not support this image",
)
GOODS = ("shoes", "curtains", "phone cases", "tyres", "lamps", "watches", "rugs", "mugs", "posters", "backpacks")
SEO = (
    "wallpaper hd", "4k background", "free download", "best images", "desktop 1920x1080", "clipart png", "top ideas",
    "how to", "cheap", "near me", "review", "gallery", "pinterest", "full size", "stock vector", "trending now",
)  # fmt: skip


def good(photo: Photo) -> list[str]:
    """All wordings of a photo's caption; those with its name only where it has one."""
    place = f" in {photo.place}" if photo.place else ""
    Phrase = photo.phrase[0].upper() + photo.phrase[1:]
    words = {"phrase": photo.phrase, "Phrase": Phrase, "place": place, "name": photo.name, "author": photo.author}
    return [text.format(**words) for text in WORDINGS if photo.name or "{name}" not in text]


def junk(draw: Random) -> str:
    """A caption that says nothing of its picture: the name of a file, a placeholder, a template, a list of search
    words, an address, a number of an article."""
    number = draw.randrange(1, 9999)
    kinds = (
        lambda: f"IMG_{number:04}.JPG",
        lambda: f"DSC{number:05}",
        lambda: f"P10{number:05}.jpeg",
        lambda: f"IMG_20{draw.randrange(10, 23)}0{draw.randrange(1, 9)}{draw.randrange(10, 28)}_{number:06}",
        lambda: draw.choice(PLACEHOLDERS),
        lambda: draw.choice(PLACEHOLDERS),
        lambda: f"Buy {draw.choice(GOODS)} online - best price - free shipping - page {number % 90 + 1}",
        lambda: f"Item no. {number}-{draw.randrange(10, 99)} | add to basket | {number % 400 + 5}.99",
        lambda: ", ".join(draw.sample(SEO, 6)),
        lambda: (
            f"https://www.shop.example/wp-content/uploads/20{draw.randrange(10, 23)}/0{number % 9 + 1}/{number}.jpg"
        ),
    )
    return draw.choice(kinds)()
