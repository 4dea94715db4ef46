"""MDS files of this project against mosaicml-streaming itself, in an environment of its own.

python -m paris_assets_tests.streaming [FOLDER OF THE ENVIRONMENT]

Its writer and ours give the same bytes; its StreamingDataset reads every sample of ours once, over 1, 2 and 8 ranks,
with shuffle and without, from a disk and from S3 (a moto server), raw and compressed. Needs the package index once.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from paris_assets.formats.mds_columns import Columns
from paris_assets.formats.mds_reader import MdsFileReader, read_index
from paris_assets.formats.mds_writer import INDEX, MdsFile, MdsForm, index_bytes
from paris_assets_tests.streaming import library
from paris_assets_tests.streaming.environment import streaming_python
from paris_assets_tests.verification.published import publish_two_shards

LIBRARY = Path(library.__file__)
SAMPLES = 96
READS = (  # ranks, shuffle, from S3, compressed, hash that is checked
    (1, False, False, False, None),
    (2, True, False, True, "sha256"),
    (8, True, False, False, None),
    (1, True, True, True, "xxh64"),
    (2, True, True, False, "sha256"),
    (8, True, True, False, "xxh64"),
)
TIMEOUT_S = 240


def main() -> int:
    """Print a line for each comparison; 0 when all of them hold."""
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("data/runs/.streaming")
    python, failed = streaming_python(place.absolute()), 0
    with tempfile.TemporaryDirectory() as name, s3() as bucket:
        folder = Path(name)
        outcomes = {"bytes of its writer": same_bytes(python, folder / "library")}
        roots = {zipped: published(folder / f"root-{zipped}", zipped) for zipped in (False, True)}
        for number, (ranks, shuffle, remote, zipped, checked) in enumerate(READS):
            source = roots[zipped] / "expert_mds/cluster_0/256"
            at = {"local": str(source), "remote": None}
            if zipped and not remote:  # the library would unpack files beside those that are published
                at = {"local": str(folder / f"cache-{number}"), "remote": str(source)}
            elif remote:
                at = {"local": str(folder / f"cache-{number}"), "remote": upload(source, f"{bucket}/{number}")}
            wanted = {"ranks": ranks, "shuffle": shuffle, "hash": checked, "port": free_port()}
            said = f"{ranks} ranks, {'shuffled' if shuffle else 'in order'}, {'S3' if remote else 'disk'}"
            outcomes[f"{said}, {'zstd' if zipped else 'raw'}, {checked or 'no hash'}"] = every_sample_once(
                python, source, at | wanted
            )
    for said, problem in outcomes.items():
        failed += bool(problem)
        print(f"{said}: {problem or 'as expected'}")
    return 1 if failed else 0


def same_bytes(python: Path, folder: Path) -> str:
    """What differs between the files of MDSWriter and ours; '' when nothing does."""
    subprocess.run([python, LIBRARY, "write", folder / "theirs"], check=True, timeout=TIMEOUT_S)
    ours = folder / "ours"
    ours.mkdir()
    form = MdsForm(Columns(library.COLUMNS), ["sha256", "xxh64"], None, 1 << 14)
    entries, number = [], 0
    with ThreadPoolExecutor(1) as threads:
        file = MdsFile(form, ours / "shard.00000.mds", threads)
        for sample in library.samples():
            data = form.columns.encode(sample)
            if not file.takes(data):
                entries.append(file.finish(file.path.name))
                number += 1
                file = MdsFile(form, ours / f"shard.{number:05d}.mds", threads)
            file.add(data)
        entries.append(file.finish(file.path.name))
    (ours / INDEX).write_bytes(index_bytes(entries))
    found, wanted = ({path.name: path.read_bytes() for path in side.iterdir()} for side in (ours, folder / "theirs"))
    other = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
    return f"differs in {', '.join(other)}" if other or len(wanted) < 3 else ""


def published(folder: Path, zipped: bool) -> Path:
    """A root of two image shards, with several files of each."""
    settings: dict[str, Any] = {
        "experts.formats": ["mds"],
        "experts.codec": {"latents": {}},
        "experts.mds.size_limit": 1 << 15,
        "experts.mds.compression": "zstd:5" if zipped else None,
    }
    publish_two_shards(folder, SAMPLES, **settings)
    return folder


def every_sample_once(python: Path, source: Path, given: dict[str, Any]) -> str:
    """What is wrong with the samples that StreamingDataset gives, against our reader; '' when nothing is."""
    wanted = {}
    for entry in read_index((source / INDEX).read_bytes()):
        with MdsFileReader(source / entry.path) as file:
            wanted |= {sample["image_id"]: library.fingerprint(sample) for sample in file}
    command = [python, LIBRARY, "read", json.dumps(given)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if ran.returncode:
        return ran.stderr[-2000:]
    ranks = json.loads(ran.stdout.splitlines()[-1])
    counts = Counter(image_id for rank in ranks for image_id, _ in rank)
    if counts != Counter(list(wanted)):
        repeated = sum(count > 1 for count in counts.values())
        return f"{len(wanted.keys() - counts.keys())} samples are missing, {repeated} repeated"
    if any(values != wanted[image_id] for rank in ranks for image_id, values in rank):
        return "other values"
    order = [image_id for rank in ranks for image_id, _ in rank]
    return "" if given["shuffle"] == (order != sorted(order)) or given["ranks"] > 1 else "another order"


@contextmanager
def s3() -> Iterator[str]:
    """A bucket on a moto server, with the variables that reach it."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ |= {**keys, "AWS_ENDPOINT_URL": f"http://{host}:{port}", "S3_ENDPOINT_URL": f"http://{host}:{port}"}
    boto3.client("s3").create_bucket(Bucket="bucket")
    yield "bucket"
    server.stop()


def upload(source: Path, place: str) -> str:
    """The folder on S3."""
    import boto3

    bucket, _, prefix = place.partition("/")
    for path in sorted(source.iterdir()):
        boto3.client("s3").upload_file(str(path), bucket, f"{prefix}/{path.name}")
    return f"s3://{bucket}/{prefix}"


def free_port() -> int:
    """For the processes of a job to find each other."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


if __name__ == "__main__":
    sys.exit(main())
