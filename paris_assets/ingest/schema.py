"""The tables of this stage."""

import polars as pl

from paris_assets.storage.schema import ArrayOf, Schema, every

SOURCE_ROWS = Schema(
    {
        "source_row": (pl.Int64, "number of the row in the whole source, fixed at registration"),
        "uid": (pl.String, "the source's own id; null where it has none"),
        "source_hash": (pl.Int64, "the source's own hash (LAION: of url and text)"),
        "url": (pl.String, "address of the image; null when the source holds the bytes"),
        "locator": (pl.String, "place of the bytes within the source; null for urls"),
        "text": (pl.String, "text of the source: the first of its columns that is not blank"),
        "alt_texts": (pl.List(pl.String), "other texts of the source for this image; empty where it has none"),
        "short_text": (pl.String, "short caption of the source, where source.columns names its column"),
        "long_text": (pl.String, "long caption of the source, where source.columns names its column"),
        "ocr": (pl.String, "words seen in the picture, where source.columns names their column"),
        "problem": (pl.String, "why the row leads to no image (unreadable_row, no_url, ...); null where it may"),
        "source_sha256": (pl.String, "hash that the source gives of the bytes as it downloaded them, 64 hex digits"),
        "source_phash": (pl.String, "64-bit pHash of the source, 16 hex digits, where source.columns names its column"),
        "source_width": (pl.Int64, "width that the source claims"),
        "source_height": (pl.Int64, "height that the source claims"),
        "aesthetic": (pl.Float64, "aesthetic score of the source; null when unknown"),
        "similarity": (pl.Float64, "image-text similarity of the source"),
        "clip_b32": (pl.Float64, "cosine of image and text by CLIP ViT-B/32, as the source (DataComp) gives it"),
        "clip_l14": (pl.Float64, "the same by CLIP ViT-L/14"),
        "punsafe": (pl.Float64, "unsafe probability of the source"),
        "pwatermark": (pl.Float64, "watermark probability of the source"),
        "tags": (pl.String, "tags of the source, with separators between them; null where it has none"),
        "face_bboxes": (
            pl.List(pl.List(pl.Float64)),
            "faces that the source marks: left, top, right, bottom, as shares of width and height; null where it does "
            "not say, and a face without four numbers where what it says cannot be read",
        ),
    }
)
POOL_VECTORS = Schema(
    {
        "source_row": (pl.Int64, "source row", "source_rows.source_row"),
        "text": (
            ArrayOf(pl.Float16, ("dim",)),
            "vector of the caption, as the source or the encoder gave it",
            *every("source_rows", "text"),
        ),
        "image": (ArrayOf(pl.Float16, ("dim",)), "vector of the image, as the source gave it"),
    },
    by_profile=("text", "image"),
)
_PLACE = ("source_rows.url", "source_rows.locator")  # what lies there decides
_KEPT = (*_PLACE, *every("source_rows", "source_sha256", "source_phash"), "pool_selection.selected")
_FACES = (*_PLACE, "source_rows.face_bboxes")
RAW_IMAGES = Schema(
    {
        "source_row": (pl.Int64, "source row", "source_rows.source_row"),
        "image_id": (pl.String, "first 128 bits of the sha256 of the bytes as fetched, hex; null when failed", *_PLACE),
        "uid": (pl.String, "the source's own id; null where it has none", "source_rows.uid"),
        "url": (pl.String, "address asked for", "source_rows.url"),
        "text": (pl.String, "text of the source", "source_rows.text"),
        "status": (pl.String, "ok, failed, or skipped: not selected, so that nothing was asked for", *_KEPT),
        "reason": (pl.String, "why it is not ok; null when it is", "source_rows.problem", *_KEPT),
        "http_status": (pl.Int32, "final HTTP status; null where there was no answer", *_PLACE),
        "attempts": (pl.Int32, "requests made", *_PLACE),
        "size_bytes": (pl.Int64, "bytes as fetched", *_PLACE),
        "width": (pl.Int32, "pixels after EXIF orientation", *_PLACE),
        "height": (pl.Int32, "pixels after EXIF orientation", *_PLACE),
        "format": (pl.String, "format that the header shows", *_PLACE),
        "sha256": (pl.String, "hash of the bytes as fetched", *_PLACE),
        "offset": (pl.Int64, "byte position in the tar", *_PLACE),
        "stored_bytes": (pl.Int64, "bytes in the tar: those as fetched, or encoded by `ingest.encode`", *_PLACE),
        "stored_width": (pl.Int32, "pixels of what is in the tar, as it is shown", *_PLACE),
        "stored_height": (pl.Int32, "pixels of what is in the tar, as it is shown", *_PLACE),
        "stored_format": (pl.String, "format of what is in the tar", *_PLACE),
        "stored_sha256": (pl.String, "hash of what is in the tar", *_FACES),
        "faces_blurred": (pl.Int32, "faces blurred in it; null where `ingest.encode.blur_faces` is not set", *_FACES),
    }
)
