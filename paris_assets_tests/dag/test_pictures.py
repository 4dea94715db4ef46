import io
from pathlib import Path

import dagster as dg
import polars as pl
from PIL import Image

from paris_assets.dag import pictures
from paris_assets.errors import MissingInput
from paris_assets.runs.execution import open_instance
from paris_assets.storage.location import Location
from paris_assets.storage.output import Samples


def test_a_picture_is_where_the_webserver_looks_for_it_and_shown_at_once(tmp_path: Path) -> None:
    with open_instance(Location(tmp_path)) as instance:
        value = pictures.shown(instance, "captions", "images 00003", b"one")
        later = pictures.shown(instance, "captions", "images 00003", b"two")
        assert value is not None
        assert later is not None
        assert len(str(value.value)) < 1000, "longer Markdown is behind a link"
        assert value != later, "a browser would show the earlier one"
        address = str(later.value).partition("](/logs/")[2].partition("?")[0]
        # The webserver takes the last part for the ending and the others for the key.
        *key, ending = address.split("/")
        path = Path(instance.compute_log_manager.get_captured_local_path(key, ending))  # type: ignore[attr-defined]
        assert path.read_bytes() == b"two"
        assert path == tmp_path / ".dagster/storage/pictures/captions/images-00003.jpg"
        assert [file.name for file in path.parent.iterdir()] == ["images-00003.jpg"]


def test_an_instance_without_files_shows_none() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert pictures.shown(instance, "captions", "images", b"") is None


def test_an_image_that_cannot_be_read_fails_nothing() -> None:
    def read(image_id: str) -> bytes:
        raise MissingInput(f"{image_id} is in no tar")

    chosen = pl.DataFrame(
        {"image_id": ["a"] * 9, "words": [None, *["words"] * 8]}, schema_overrides={"words": pl.String}
    )
    data = pictures.of_samples(Samples(lambda _: chosen, read), chosen)
    assert len(data) <= pictures.MAX_BYTES
    assert Image.open(io.BytesIO(data)).width == 386
