"""Settings of what is known of the rows of a pool: vectors and captions."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from paris_assets.settings.network import Model
from paris_assets.settings.section import Section


class PoolVectors(Section):
    """Vectors of captions and images: beside the list, in its columns, or computed from the text."""

    origin: Literal["npz", "npy", "columns", "encoder", "none"] = Field(
        default="npz",
        description="`npz`: arrays of STEM.npz beside STEM.parquet, as DataComp has them; `npy`: STEM.KEY.npy beside "
        "it; `columns` of the table; `encoder`: of the text, by `encoder`; `none`",
    )
    text: str | None = Field(default="l14_txt", description="array or column with the vectors of captions; null: none")
    image: str | None = Field(default="l14_img", description="array or column with the vectors of images; null: none")
    encoder: Model | None = Field(default=None, description="text encoder whose pooled vectors are taken (`encoder`)")
    tokens: int = Field(default=77, ge=1, description="tokens to which `encoder` cuts or pads a text")
    compare_scores: bool = Field(
        default=True,
        description="whether cosines of `l14_txt` and `l14_img` (`b32_...`) have to agree with the list's CLIP scores, "
        "which tells swapped files",
    )

    @model_validator(mode="after")
    def _given(self) -> PoolVectors:
        if (self.origin == "encoder") != (self.encoder is not None):
            raise ValueError("`origin: encoder` needs `encoder`, such as `{implementation: minilm}`, and no other does")
        if self.origin in ("npz", "npy", "columns") and not self.keys:
            raise ValueError("name `text`, `image` or both, or say `origin: none`")
        return self

    @property
    def keys(self) -> dict[str, str]:
        """Column of `pool_vectors` -> array or column of the source that it is read from."""
        return {ours: key for ours, key in (("text", self.text), ("image", self.image)) if key is not None}

    @property
    def kinds(self) -> list[str]:
        """Columns of vectors that `pool_vectors` has."""
        return {"none": [], "encoder": ["text"]}.get(self.origin, list(self.keys))


class LanguageDetector(Section):
    """What tells the language of a text."""

    implementation: str = Field(
        default="py3langid",
        description="`py3langid` (97 languages, with its model), `fasttext` with `path`, or an import path "
        "`package.module:Class`",
    )
    path: str | None = Field(default=None, description="model file of `fasttext`, such as lid.176.bin")

    @model_validator(mode="after")
    def _possible(self) -> LanguageDetector:
        if self.implementation not in ("py3langid", "fasttext") and ":" not in self.implementation:
            raise ValueError(
                f"no language detector {self.implementation!r}: give py3langid, fasttext, or an import path "
                "package.module:Class"
            )
        if (self.implementation == "fasttext") != (self.path is not None):
            raise ValueError("fasttext needs the `path` of its model, such as lid.176.bin, and no other does")
        return self

    def import_paths(self) -> list[str]:
        """The class, where it is not one of ours."""
        return [self.implementation] if ":" in self.implementation else []

    def files(self) -> list[str]:
        """The model."""
        return [self.path] if self.path else []


class WordNet(Section):
    """Which nouns captions are compared with."""

    folder: str = Field(
        default="/usr/share/wordnet",
        description="folder of WordNet 3.0 with index.noun and noun.exc (Debian: wordnet-base)",
    )
    synsets: str = Field(
        description="file with the ids of noun synsets, one a line: `n02084071`, `02084071`, or ImageNet's, with or "
        "without more after a blank"
    )

    def files(self) -> list[str]:
        """The ids, and what of WordNet is read."""
        return [self.synsets, f"{self.folder}/index.noun", f"{self.folder}/noun.exc"]


class CaptionFigures(Section):
    """What is measured of captions."""

    language: LanguageDetector = LanguageDetector()
    second_language: LanguageDetector | None = Field(
        default=None, description="a further detector, to be compared with the first; null: none"
    )
    wordnet: WordNet | None = Field(default=None, description="nouns that captions are compared with; null: none")
