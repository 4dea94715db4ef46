"""The command line: `paris run | dev | inspect | verify | doctor`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from paris_assets.config import Profile
from paris_assets.errors import UsageError, UserError
from paris_assets.process import prepare_process
from paris_assets.profiles import environment_overrides, load_profile, parse_overrides

A_BUG = (
    "paris: this is a bug of paris_assets, and no mistake of yours; please report it with all that follows. "
    "What is finished stays: `paris run` goes on from there."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status: 0 done, 1 something failed, 2 what the user can mend.

    A bug is raised: Python shows its traceback and ends with status 1.
    """
    prepare_process()
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except UserError as error:
        print(f"paris: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("paris: stopped; the next `paris run` goes on from here", file=sys.stderr)
        return 130
    except Exception:
        print(A_BUG, file=sys.stderr)
        raise


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="paris", description="Image lists to training shards for diffusion experts.")
    commands = parser.add_subparsers(required=True, metavar="run | dev | inspect | verify | doctor")
    run = commands.add_parser("run", help="bring every partition up to date")
    run.add_argument(
        "--profile", metavar="NAME|FILE", help="shipped profile or YAML file (default: the root's, else demo)"
    )
    run.add_argument("--source", metavar="PATH|GLOB|URL", help="table, folder of images or WebDataset tars")
    run.add_argument("--root", metavar="DIR|URL", help="where results go (default: $PARIS_ROOT or data/runs/<profile>)")
    run.add_argument(
        "--select", action="append", default=[], metavar="ASSETS", help="only these assets, comma separated"
    )
    run.add_argument("--from", dest="start", metavar="ASSET", help="make this asset and all that follows again")
    run.add_argument("--shards", metavar="KEYS", help="only these shards, comma separated")
    run.add_argument("--workers", type=int, default=1, metavar="N", help="worker processes")
    run.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting")
    run.add_argument("--force", action="store_true", help="make the selected assets again even if they are done")
    run.add_argument(
        "--retry", choices=["transient"], help="fetch images again that failed by time-outs, broken connections or 5xx"
    )
    run.add_argument("--dry-run", action="store_true", help="say what would be made, and stop")
    run.set_defaults(command=_run)
    dev = commands.add_parser("dev", help="open `dagster dev` on a root")
    dev.add_argument("--root", metavar="DIR|URL")
    dev.add_argument("--port", type=int, default=3000)
    dev.set_defaults(command=_dev)
    inspect = commands.add_parser("inspect", help="one image's history, from row to shard")
    inspect.add_argument(
        "image",
        metavar="IMAGE_ID|URL|row:N",
        help="an image_id or its first digits, a URL of the source, or a row of it",
    )
    inspect.add_argument("--root", metavar="DIR|URL")
    inspect.set_defaults(command=_inspect)
    verify = commands.add_parser(
        "verify",
        help="check every published hash, count and join",
        description="Checks what a manifest lists: hashes, counts, samples, router arrays; and every join with the "
        "root's tables, where they lie beside it. One line per problem. Status 0: none, 1: problems, 2: no manifest.",
    )
    verify.add_argument("manifest", metavar="MANIFEST", help="path or URL of a pipeline_manifest.json")
    verify.set_defaults(command=_verify)
    doctor = commands.add_parser("doctor", help="what this machine can run and what is missing")
    doctor.add_argument("--profile", metavar="NAME|FILE", default=None)
    doctor.add_argument("--root", metavar="DIR|URL")
    doctor.set_defaults(command=_doctor, set=[], source=None)
    for command in (run, dev, inspect, verify, doctor):
        command.register("type", None, _given)  # of every argument that names no other type
    return parser


def _given(text: str) -> str:
    """A value that is not empty, as that of a shell's variable is which nobody set."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty: give a value, or leave it out")
    return text


def _root_url(options: argparse.Namespace, profile: str) -> str:
    root = options.root or os.environ.get("PARIS_ROOT", f"data/runs/{profile}")
    if not root.strip():
        raise UsageError("PARIS_ROOT is empty: let it name a folder or URL, or unset it")
    return root


def _resolve(options: argparse.Namespace) -> tuple[Profile, str]:
    """The profile of this command and its root: the root's own profile unless another is named."""
    from paris_assets.dag.s3 import open_location
    from paris_assets.planning.profile_file import stored_profile

    overrides = {**environment_overrides(), **parse_overrides(options.set)}
    if options.source:
        overrides["source.path"] = options.source
    name = Path(options.profile).stem if options.profile else "demo"
    url = _root_url(options, name)
    stored = stored_profile(open_location(url)) if options.profile is None else None
    if stored is None and options.profile is None and open_location(url).size("shards.parquet") is not None:
        raise UsageError(f"{url} has registered shards, but its profile.yaml is gone: name the profile with --profile")
    if stored is None:
        return load_profile(options.profile or "demo", overrides), url
    from paris_assets.profiles import dump_profile, parse_profile

    return parse_profile(dump_profile(stored), f"{url}/profile.yaml", overrides), url


def _run(options: argparse.Namespace) -> int:
    if options.workers < 1:
        raise UsageError(f"--workers must be at least 1, got {options.workers}")
    profile, url = _resolve(options)
    from paris_assets.runs.command import run_command
    from paris_assets.runs.run import Request

    split = [part.strip() for text in options.select for part in text.split(",") if part.strip()]
    request = Request(
        select=tuple(split),
        start=options.start,
        shards=tuple(key.strip() for key in (options.shards or "").split(",") if key.strip()),
        workers=options.workers,
        force=options.force,
        retry=options.retry is not None,
    )
    return run_command(profile, url, request, options.dry_run)


def _dev(options: argparse.Namespace) -> int:
    from paris_assets.runs.command import open_ui

    open_ui(_root_url(options, "demo"), options.port)


def _inspect(options: argparse.Namespace) -> int:
    from paris_assets.dag.tables import Tables
    from paris_assets.definitions import open_catalog
    from paris_assets.runs.inspect import print_history

    catalog = open_catalog(_root_url(options, "demo"))
    if not catalog.shards():
        where = catalog.location.url
        raise UsageError(f"there is no run under {where}: name another --root, or make one with `paris run`")
    return print_history(Tables(catalog), options.image)


def _verify(options: argparse.Namespace) -> int:
    from paris_assets.verification.command import verify_command

    return verify_command(options.manifest)


def _doctor(options: argparse.Namespace) -> int:
    from paris_assets.runs.doctor import examine

    profile, url = _resolve(options)
    return examine(profile, url)


if __name__ == "__main__":
    sys.exit(main())
