"""Names that columns have in published lists, and which of ours they mean.

In order: the first of these that a table has goes before the others. Case, spaces and underscores make no difference
(`Image URL` is `image_url`), except that the very spelling goes before others of it.
"""

from __future__ import annotations

import re
from functools import lru_cache

IMAGE = "image"
ALIASES: dict[str, tuple[str, ...]] = {
    "url": (
        "URL", "url", "image_url", "img_url", "image_uri", "image_link", "image_href", "image_src", "img_src", "src",
        "uri", "photo_image_url", "photo_url", "picture_url", "media_url", "content_url", "download_url",
        "original_url", "coco_url", "flickr_url", "urls", "image_urls",
    ),
    # The text that came with an image, then what a person wrote for it, then what models did.
    "text": (
        "TEXT", "text", "caption", "alt_txt", "laion_2b", "txt", "captions", "texts", "alt_text", "alt",
        "original_caption", "org_caption", "raw_caption", "prompt", "prompts", "title", "description", "desc",
        "sentence", "sentences", "sentences_raw", "raw_sentences", "caption_text", "text_caption", "image_caption",
        "image_description", "photo_description", "en_text", "text_en", "caption_en", "en_caption",
        "caption_reference_description", "caption_alt_text_description", "caption_attribution_description",
        "long_caption", "short_caption", "detailed_caption", "dense_caption", "brief_caption", "re_caption",
        "recaption", "llm_caption", "vlm_caption", "mllm_caption", "generated_caption", "synthetic_caption",
        "top_caption", "all_captions", "blip_caption", "blip2_caption", "cogvlm_caption", "llava_caption",
        "laion_coco", "capsfusion", "ai_description",
    ),
    # What a list says of an image in several ways: only by source.columns, as the text is one of them by its name.
    "short_text": (),
    "long_text": (),
    "ocr": (),
    "source_width": ("WIDTH", "original_width", "width"),
    "source_height": ("HEIGHT", "original_height", "height"),
    # CLIP scores measure agreement of image and text and are no aesthetic scores, whatever their range.
    "aesthetic": ("AESTHETIC_SCORE", "aesthetic", "aesthetic_score_laion_v2"),
    "similarity": ("similarity", "CLIP_SCORE", "clip_score", "clip_l14_similarity_score"),
    "punsafe": ("punsafe",),
    "pwatermark": ("pwatermark",),
    "tags": (),  # lists hold tags of many kinds: `source.columns` says which are meant
    # What DataComp says beside `similarity`, each by its own name.
    "clip_b32": ("clip_b32_similarity_score",),
    "clip_l14": ("clip_l14_similarity_score",),
    "source_sha256": ("sha256",),
    "source_phash": (),  # lists mean many things by it: `source.columns` says which is the 64-bit one of imagehash
    "uid": ("uid",),
    "source_hash": ("hash",),
    "face_bboxes": ("face_bboxes",),
    IMAGE: ("image", "jpg", "bytes", "img", "picture", "photo", "jpeg", "png", "webp", "image_bytes", "img_bytes",
            "image_data"),
}  # fmt: skip
NUMBERED = re.compile(r"(?:caption|text|sentence|prompt)s?(\d{1,3})")  # `caption_0` ... `caption_4`


@lru_cache(maxsize=65_536)
def key(name: str) -> str:
    """What is compared of a name: its letters and digits, in lower case."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


@lru_cache(maxsize=65_536)
def rank(ours: str, name: str) -> int | None:
    """Place of a name among those of one of our columns, smaller ones first; None for another's."""
    aliases = ALIASES[ours]
    if name in aliases:
        return aliases.index(name)
    place = _KEYS[ours].get(key(name))
    if place is not None:
        return len(aliases) + place
    numbered = NUMBERED.fullmatch(key(name)) if ours == "text" else None
    return 2 * len(aliases) + int(numbered[1]) if numbered else None


def known(name: str) -> bool:
    """Whether a name is that of an address, an image or a text."""
    return any(rank(ours, name) is not None for ours in ("url", IMAGE, "text"))


_KEYS = {
    ours: {key(name): place for place, name in reversed(list(enumerate(names)))} for ours, names in ALIASES.items()
}
