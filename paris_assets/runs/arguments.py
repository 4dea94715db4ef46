"""The arguments of `paris`: what each command takes, with examples."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NoReturn

from paris_assets.errors import did_you_mean
from paris_assets.runs import audit_arguments, plan_arguments
from paris_assets.runs.audit_arguments import add_commands

PROFILE_HELP = "shipped profile or YAML file (default: the root's; else own where --source is given, else demo)"
LOOKED_AT = "shipped profile or YAML file (default: the root's, else demo)"
RUN_EXAMPLES = """examples:
  paris run                                             the demo, in data/runs/demo
  paris run --source my_list.parquet --root data/runs/mine
  paris run --root data/runs/mine --set curation.signal_rules.short_side.min=300 --dry-run
  paris run --root data/runs/mine --from cluster_model --set clusters.k=4
  paris run --root data/runs/mine --retry transient --log-file run.log

exit status: 0 done and sound; 1 something failed, a check of severity ERROR fails, or no image is left;
2 the command, a setting or the source has to be changed first"""
SEARCH_EXAMPLES = """examples:
  paris search "a dog on a beach" --root data/runs/mine
  paris search bad.jpg --root data/runs/mine --top 100 --html found.html
  paris search --queries prompts.txt --root data/runs/mine --json
  paris search bad.jpg --root data/runs/mine --min-cosine 0.9 --write prune.csv --reason "broken scans"
  paris run --root data/runs/mine --set curation.prune=prune.csv"""
FIRST_EXAMPLES = """examples:
  paris run                                                    the demo, in data/runs/demo
  paris run --source my_list.parquet --root data/runs/mine     a list, folder or tars of your own
  paris dev --root data/runs/mine                              look at it in Dagster
  paris verify data/runs/mine                                  check every published file

`paris COMMAND --help` has more of each."""
EXAMPLES = {
    "run": RUN_EXAMPLES,
    "plan": plan_arguments.EXAMPLES,
    "dev": "example:\n  paris dev --root data/runs/mine --port 3001",
    "inspect": "examples:\n  paris inspect row:3\n  paris inspect 0a1b2c3d --root data/runs/mine",
    "search": SEARCH_EXAMPLES,
    "verify": "examples:\n  paris verify data/runs/mine\n  paris verify s3://BUCKET/mine",
    "export": (
        "examples:\n  paris export --format parquet --root data/runs/mine --out tables\n"
        "  paris export --format parquet --root data/runs/mine --only all --images --out s3://BUCKET/tables\n"
        "  paris export --format webdataset --root data/runs/mine --subset selection --out tars\n"
        "  paris export --format hf --root data/runs/mine --license cc-by-4.0 --out dataset"
    ),
    **audit_arguments.EXAMPLES,
    "doctor": "example:\n  paris doctor --profile paris --root /disk/paris",
    "coordinator": "example:\n  paris coordinator --listen SECRET@10.0.0.5:7077",
    "settings": "examples:\n  paris settings\n  paris settings clusters\n  paris settings embedder --profile paris",
    "completion": 'examples:\n  eval "$(paris completion bash)"     # in ~/.bashrc; or zsh, in ~/.zshrc',
}
EXPORT_FORMATS = ["parquet", "webdataset", "wids", "energon", "hf"]
SEARCH = (
    "Finds the images whose stored vectors are most like a query: a text (where the encoder has a text tower), the\n"
    "path of an image file, or an image_id of the root. Every vector is compared. Prints rank, cosine, image_id,\n"
    "whether the image is kept, and its caption."
)


class Parser(argparse.ArgumentParser):
    """Names the command or option that was perhaps meant."""

    commands: Mapping[str, argparse.ArgumentParser] = {}

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and how to call, and end with status 2."""
        options = [option for parser in (self, *self.commands.values()) for option in parser._option_string_actions]
        wrong = re.search(r"invalid choice: '([^']*)'|unrecognized arguments: (\S+)", message)
        said = (wrong[1] or wrong[2]) if wrong else ""
        meant = "" if said in options else did_you_mean(said, [*self.commands, *options])
        super().error(f"{message}{meant}")


def build_parser() -> argparse.ArgumentParser:
    """The parser; its result names the command in ``name``."""
    parser = Parser(
        prog="paris",
        description="Image lists to training shards for diffusion experts.",
        epilog=FIRST_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"paris_assets {_version()}")
    commands = parser.add_subparsers(required=True, dest="name", metavar=" | ".join(EXAMPLES))
    _add_run(_command(commands, "run", "bring every partition up to date"))
    plan = _command(commands, "plan", "what a run would take: rows, bytes, hours, dollars", plan_arguments.PLAN)
    plan_arguments.add_plan(plan, PROFILE_HELP, _count)
    dev = _command(commands, "dev", "open `dagster dev` on a root")
    dev.add_argument("--root", metavar="DIR|URL")
    dev.add_argument("--port", type=int, default=3000)
    inspect = _command(commands, "inspect", "one image's history, from row to shard")
    image = "an image_id or its first digits, a uid or URL of the source, a file of a folder or tar, or a row"
    inspect.add_argument("image", metavar="IMAGE_ID|UID|URL|FILE|row:N", help=image)
    inspect.add_argument("--root", metavar="DIR|URL")
    _add_search(_command(commands, "search", "images of a root that are like a text or an image", SEARCH))
    verify = _command(
        commands,
        "verify",
        "check every published hash, count and join",
        "Checks what a manifest lists: hashes, counts, samples, router arrays; and every join with the root's tables, "
        "where they lie beside it. One line per problem. Status 0: none, 1: problems, 2: no manifest.",
    )
    which = verify.add_mutually_exclusive_group(required=True)
    said = "a root, or the path or URL of its pipeline_manifest.json"
    which.add_argument("manifest", nargs="?", default=argparse.SUPPRESS, metavar="ROOT|MANIFEST", help=said)
    which.add_argument("--root", dest="manifest", metavar="DIR|URL", help="the same, as other commands have it")
    add_commands(partial(_command, commands), _count)
    _add_export(
        _command(
            commands,
            "export",
            "what is known of every image, in a form that others load",
            "parquet: image_profiles/SHARD.parquet, a row per image. webdataset: images of a subset of the pool, tars "
            "by uid. Of the training samples: wids: indices of the experts' tars; energon: data sets of "
            "Megatron-Energon; hf: Parquet with a data set's card. What is there and holds the same stays as it is.",
        )
    )
    doctor = _command(commands, "doctor", "what this machine can run and what is missing")
    settings = _command(commands, "settings", "every setting, with its value, bounds and meaning")
    settings.add_argument("section", nargs="?", default="", metavar="SECTION", help="such as clusters or latents.codec")
    for command in (doctor, settings):
        command.add_argument("--profile", metavar="NAME|FILE", default=None, help=LOOKED_AT)
        command.add_argument("--root", metavar="DIR|URL")
        command.set_defaults(set=[], source=None)
    coordinator = _command(
        commands,
        "coordinator",
        "what limits per host hold through, for fetchers on several machines",
        "Listens until Ctrl-C. Fetchers whose PARIS_COORDINATOR is the address share limits, waits and robots.txt.",
    )
    coordinator.add_argument(
        "--listen",
        metavar="KEY@HOST:PORT",
        help="where (default: $PARIS_COORDINATOR, whose key counts too where this has none); the key keeps others out",
    )
    completion = _command(commands, "completion", "print a script that completes commands and settings in a shell")
    completion.add_argument("shell", choices=["bash", "zsh"])
    parser.commands = commands.choices
    for command in commands.choices.values():
        command.register("type", None, _given)  # of every argument that names no other type
    return parser


def _command(commands: Any, name: str, said: str, description: str | None = None) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=said,
        description=description or f"{said[0].upper()}{said[1:]}.",
        epilog=EXAMPLES[name],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_run(run: argparse.ArgumentParser) -> None:
    run.add_argument("--profile", metavar="NAME|FILE", help=PROFILE_HELP)
    run.add_argument("--source", metavar="PATH|GLOB|URL", help="table, folder of images or WebDataset tars")
    run.add_argument("--root", metavar="DIR|URL", help="where results go (default: $PARIS_ROOT or data/runs/<profile>)")
    run.add_argument(
        "--select", action="append", default=[], metavar="ASSETS", help="only these assets, comma separated"
    )
    run.add_argument("--from", dest="start", metavar="ASSET", help="make this asset and all that follows again")
    run.add_argument("--shards", metavar="KEYS", help="only these shards, comma separated")
    who = run.add_mutually_exclusive_group()
    who.add_argument("--workers", type=_count, default=1, metavar="N", help="worker processes")
    who.add_argument("--ray", metavar="auto|HOST:PORT", help="let a Ray cluster work: the one here, or that of a head")
    run.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting")
    run.add_argument("--force", action="store_true", help="make the selected assets again even if they are done")
    run.add_argument(
        "--retry", choices=["transient"], help="fetch images again that failed by time-outs, broken connections or 5xx"
    )
    run.add_argument("--dry-run", action="store_true", help="say what would be made, and stop")
    run.add_argument("--log-file", metavar="FILE", help="also append what is said, and a line per shard, to this file")


def _add_export(export: argparse.ArgumentParser) -> None:
    export.add_argument("--format", choices=EXPORT_FORMATS, required=True)
    export.add_argument("--root", metavar="DIR|URL", help="where the run is (default: $PARIS_ROOT or data/runs/demo)")
    export.add_argument("--out", metavar="DIR|URL", required=True, help="a new or empty folder, or an export to go on")
    export.add_argument(
        "--only",
        choices=["kept", "all"],
        help="of parquet: a row per curated image (default), or per distinct file of a shard, with its verdict",
    )
    export.add_argument("--images", action="store_true", help="of parquet: with the files as fetched")
    export.add_argument("--card", action="store_true", help="of parquet: with the card of a data set, as hf has one")
    export.add_argument(
        "--license", metavar="ID", help="of the card: the data set's licence, such as cc-by-4.0 (other)"
    )
    export.add_argument(
        "--subset",
        metavar="NAME",
        help="of webdataset: a subset of the pool, its selection (default) or a random control",
    )
    export.add_argument(
        "--base",
        metavar="DIR|URL",
        help="of wids: what addresses of tars begin with, where expert_shards lies (default: the root); . is beside "
        "the indices",
    )


def _add_search(search: argparse.ArgumentParser) -> None:
    search.add_argument("query", nargs="?", metavar="TEXT|IMAGE|IMAGE_ID", help="what the images are to be like")
    search.add_argument("--queries", metavar="FILE", help="queries, one a line, in place of one")
    search.add_argument("--root", metavar="DIR|URL")
    search.add_argument("--encoder", metavar="NAME", help="of picture_embeddings (default: the first that can)")
    search.add_argument("--top", type=_count, default=20, metavar="N", help="images for each query (20)")
    search.add_argument("--min-cosine", type=float, default=-1.0, metavar="COSINE", help="leave out what is less alike")
    search.add_argument("--json", action="store_true", help="print the answer as JSON")
    search.add_argument("--html", metavar="FILE", help="write a page with the pictures")
    search.add_argument("--write", metavar="FILE", help="write a list for curation.prune or curation.boost (CSV)")
    search.add_argument("--reason", metavar="TEXT", help="why, in that list")
    search.add_argument("--boost", type=float, metavar="FACTOR", help="how much more its images count, in that list")
    search.add_argument("--profile", metavar="NAME|FILE", help="where the encoders' weights are (default: the root's)")
    search.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting")
    search.set_defaults(source=None)


def _count(text: str) -> int:
    """A number of processes or images; one below 1 is refused with the other settings."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"it takes a whole number, such as 2, not {text!r}") from None


def _given(text: str) -> str:
    """A value that is not empty, as that of a shell's variable is which nobody set."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty: give a value, or leave it out")
    return text


def _version() -> str:
    try:
        return version("paris_assets")
    except PackageNotFoundError:  # read from a folder
        return "(not installed)"
