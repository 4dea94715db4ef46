"""The pictures of Dagster's UI in README and docs: `python -m tools.screenshots --root data/runs/demo`.

Needs a Chromium and, in whichever Python runs this file, Playwright and Pillow; none of them is needed elsewhere:

    apt-get install chromium
    python3 -m venv /tmp/browser && /tmp/browser/bin/pip install playwright pillow
    /tmp/browser/bin/python -m tools.screenshots --root data/runs/demo

On a finished root it launches one small backfill, which makes the same bytes again. Beside it a small run with defects
is made, for the pictures of what a bad run looks like. Nothing but the standard library is imported from this project.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1]
SIZE = {"width": 1360, "height": 850}
MAX_BYTES = 250_000
BACKFILL = ("cluster_assignments", "training_selection", "expert_shards", "router_arrays")
LAUNCH = """
mutation($assets: [AssetKeyInput!]!, $shards: [String!]!) {
  launchPartitionBackfill(backfillParams: {assetSelection: $assets, partitionNames: $shards, title: "Demo"}) {
    ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
STATUS = "query($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }"
SHARDS = """query { assetNodeOrError(assetKey: {path: ["raw_images"]}) { ... on AssetNode { partitionKeys } } }"""
BAD_RUN = """
import sys
from pathlib import Path
import polars as pl
from paris_assets.runs.command import run_command
from paris_assets.runs.run import Request
from paris_assets_tests.fixtures.small_world import HOST, picture, profile
folder = Path(sys.argv[1])
(folder / "site").mkdir(parents=True)
rows = []
for number in range(80):
    shard, name = number // 20, f"{number:05d}.jpg"
    if shard != 1 or number % 3 == 0:  # most files of shard 1 are gone; most of shard 2 is one file
        (folder / "site" / name).write_bytes(picture(777 if shard == 2 and number > 41 else number))
    text = "royalty free stock photo" if shard == 3 else f"picture number {number}"
    rows.append((f"http://{HOST}/{name}", text))
pl.DataFrame(rows, schema=["URL", "TEXT"], orient="row").write_parquet(folder / "list.parquet")
sys.exit(run_command(profile(folder / "list.parquet"), str(folder / "root"), Request(), dry_run=False))
"""


@contextmanager
def user_interface(root: Path, port: int, python: Path) -> Iterator[str]:
    """`paris dev` on a root while it is looked at; its address."""
    command = [str(python), "-m", "paris_assets.cli", "dev", "--root", str(root), "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=PROJECT, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 180
        while not _answers(address):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"`paris dev` does not answer on {address}: try `{' '.join(command)}`")
            time.sleep(1)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)


def _answers(address: str) -> bool:
    try:
        return bool(ask(address, SHARDS)["assetNodeOrError"])
    except (urllib.error.URLError, ConnectionError, KeyError):
        return False


def ask(address: str, query: str, **variables: Any) -> dict[str, Any]:
    """The data that a GraphQL query gives."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{address}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["data"]


def backfill(address: str) -> str:
    """Make a few assets of all shards again; the id of the finished backfill."""
    shards = ask(address, SHARDS)["assetNodeOrError"]["partitionKeys"]
    assets = [{"path": [name]} for name in BACKFILL]
    launched = ask(address, LAUNCH, assets=assets, shards=shards)["launchPartitionBackfill"]
    found, status, deadline = launched["backfillId"], "", time.monotonic() + 600
    while not status.startswith(("COMPLETED", "FAILED", "CANCELED")) and time.monotonic() < deadline:
        time.sleep(2)
        status = ask(address, STATUS, id=found)["partitionBackfillOrError"]["status"]
    print(f"backfill {found}: {status.lower()}")
    return found


def small_png(picture: bytes) -> bytes:
    """The same picture, compressed as far as it goes."""
    from PIL import Image

    file = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").save(file, "PNG", optimize=True)
    return file.getvalue()


class Camera:
    """Takes pictures of one server's pages into a folder."""

    def __init__(self, page: Any, address: str, folder: Path) -> None:
        self._page, self._address, self._folder = page, address, folder

    def take(self, name: str, path: str, prepare: Callable[[Any], None] | None = None) -> None:
        """Open a page, do what is to be done there, and save ``<name>.png``."""
        page = self._page
        page.set_viewport_size(SIZE)
        page.goto(self._address + path)
        page.wait_for_timeout(6000)
        if prepare:
            prepare(page)
            page.wait_for_timeout(2500)
        data = small_png(page.screenshot())
        if len(data) > MAX_BYTES:
            raise SystemExit(f"{name}.png has {len(data)} bytes, more than {MAX_BYTES}")
        (self._folder / f"{name}.png").write_bytes(data)
        print(f"{name}.png  {len(data)} bytes")


def expand_groups(page: Any) -> None:
    """Show the assets of all groups, in a window that is high enough for them."""
    page.set_viewport_size({"width": SIZE["width"], "height": 1500})
    page.get_by_text("Hide navigation").click()
    page.mouse.click(344, 80)  # hides the list of groups
    page.wait_for_timeout(1000)
    page.mouse.click(SIZE["width"] - 260, 1400)
    page.keyboard.press("Alt+e")
    page.wait_for_timeout(4000)


def show_plots(page: Any) -> None:
    """The numbers of an asset over its shards."""
    page.get_by_text("Plots", exact=True).first.click()
    page.wait_for_timeout(4000)
    page.get_by_text("Metadata", exact=True).first.evaluate("heading => heading.scrollIntoView({block: 'start'})")


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="a finished root")
    parser.add_argument("--out", type=Path, default=PROJECT / "data" / "pictures")
    parser.add_argument("--python", type=Path, default=PROJECT / ".venv" / "bin" / "python", help="has paris_assets")
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="browser; by default the one on the path")
    parser.add_argument("--port", type=int, default=3950)
    options = parser.parse_args()
    try:
        from playwright.sync_api import sync_playwright  # pyright: ignore[reportMissingImports]
    except ImportError:
        sys.exit((__doc__ or "").split("\n\n", 1)[1])
    with sync_playwright() as player, tempfile.TemporaryDirectory() as folder:
        browser = player.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE)
        with user_interface(options.root, options.port, options.python) as address:
            camera = Camera(page, address, options.out)
            camera.take("dagster_asset", "/assets/curated_images")
            camera.take("dagster_plots", "/assets/filtered_images", show_plots)
            camera.take("dagster_backfill", f"/runs/b/{backfill(address)}?tab=overview")
            camera.take("dagster_lineage", "/asset-groups", expand_groups)
        print("a small run with defects")
        subprocess.run([options.python, "-c", BAD_RUN, folder + "/bad"], cwd=PROJECT, check=True, capture_output=True)
        with user_interface(Path(folder) / "bad" / "root", options.port + 1, options.python) as address:
            camera = Camera(page, address, options.out)
            camera.take("dagster_checks", "/assets/pipeline_manifest?view=checks&checkDetail=no_failed_checks")
            camera.take("dagster_failed_check", "/assets/raw_images?view=checks&checkDetail=fetched")
        browser.close()


if __name__ == "__main__":
    main()
