"""The command line: `paris run | plan | dev | inspect | search | verify | export | takedown | doctor | ...`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from paris_assets.config import Profile
from paris_assets.errors import UsageError, UserError
from paris_assets.process import prepare_process
from paris_assets.profiles import (
    dump_profile,
    environment_overrides,
    load_profile,
    own_settings,
    parse_overrides,
    parse_profile,
    shipped_profiles,
)
from paris_assets.runs.arguments import build_parser

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
    options = build_parser().parse_args(arguments)
    try:
        return COMMANDS[options.name](options)
    except UserError as error:
        print(f"paris: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("paris: stopped; the next `paris run` goes on from here", file=sys.stderr)
        return 130
    except Exception:
        print(A_BUG, file=sys.stderr)
        raise


def _root_url(options: argparse.Namespace, profile: str) -> str:
    root = options.root or os.environ.get("PARIS_ROOT", f"data/runs/{profile}")
    if not root.strip():
        raise UsageError("PARIS_ROOT is empty: let it name a folder or URL, or unset it")
    return root


def _resolve(options: argparse.Namespace) -> tuple[Profile, str]:
    """The profile of this command and its root: the root's own profile unless another is named.

    Of a shipped profile, and of a file that says nothing of it, the root's own source is used: which one it was, and
    how it was cut, is fixed when a root is registered.
    """
    from paris_assets.dag.s3 import open_location
    from paris_assets.planning.profile_file import stored_profile

    overrides = {**environment_overrides(), **parse_overrides(options.set)}
    if options.source:
        overrides["source.path"] = options.source
    source = overrides.get("source.path")
    own = source is not None and not str(source).startswith("sample:")
    name = options.profile or ("own" if own else "demo")
    url = _root_url(options, Path(name).stem)
    root = open_location(url)
    stored = stored_profile(root)
    if stored is None and options.profile is None and root.size("shards.parquet") is not None:
        raise UsageError(f"{url} has registered shards, but its profile.yaml is gone: name the profile with --profile")
    if stored is None:
        return load_profile(name, overrides), url
    if options.profile is None:
        return parse_profile(dump_profile(stored), f"{url}/profile.yaml", overrides), url
    said = set() if name in shipped_profiles() else own_settings(name)
    kept = {"source.path": stored.source.path, "source.rows_per_shard": stored.source.rows_per_shard}
    return load_profile(name, {**{key: kept[key] for key in kept if key not in said}, **overrides}), url


def _run(options: argparse.Namespace) -> int:
    if options.workers < 1:
        raise UsageError(f"--workers must be at least 1, got {options.workers}")
    profile, url = _resolve(options)
    if "path" not in profile.source.model_fields_set:
        raise UsageError(f"profile {profile.name} names no source: give --source, or source.path in the profile")
    from paris_assets.runs.command import run_command
    from paris_assets.runs.run import Request

    # polars has just replaced the handler by one that lets a wait for a process, or for another run, go on.
    signal.siginterrupt(signal.SIGINT, True)
    split = [part.strip() for text in options.select for part in text.split(",") if part.strip()]
    request = Request(
        select=tuple(split),
        start=options.start,
        shards=tuple(key.strip() for key in (options.shards or "").split(",") if key.strip()),
        workers=options.workers,
        ray=options.ray,
        force=options.force,
        retry=options.retry is not None,
    )
    return run_command(profile, url, request, options.dry_run, options.log_file)


def _plan(options: argparse.Namespace) -> int:
    from paris_assets.forecast.command import plan_command, plan_request

    profile, url = _resolve(options)
    return plan_command(profile, url, plan_request(options, profile))


def _dev(options: argparse.Namespace) -> int:
    from paris_assets.runs.dev import open_ui

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


def _search(options: argparse.Namespace) -> int:
    from paris_assets.runs.doctor import absent_packages

    if absent := absent_packages():
        raise UsageError(f"{', '.join(absent)} are not installed: pip install 'paris_assets[run]'")
    from paris_assets.search.command import search_command, search_request

    profile, url = _resolve(options)
    return search_command(profile, url, search_request(options))


def _verify(options: argparse.Namespace) -> int:
    from paris_assets.verification.command import verify_command

    return verify_command(options.manifest)


def _export(options: argparse.Namespace) -> int:
    from paris_assets.dag.s3 import open_location
    from paris_assets.definitions import open_catalog
    from paris_assets.export.formats import export, export_request

    request = export_request(options)
    return export(open_catalog(_root_url(options, "demo")), open_location(options.out), request)


def _lint(options: argparse.Namespace) -> int:
    from paris_assets.verification.lint import lint_command, lint_request

    return lint_command(lint_request(options))


def _diff(options: argparse.Namespace) -> int:
    from paris_assets.verification.diff import diff_command

    return diff_command(options.before, options.after, options.json, options.full)


def _takedown(options: argparse.Namespace) -> int:
    from paris_assets.runs.takedown import takedown_command, takedown_request

    signal.siginterrupt(signal.SIGINT, True)
    return takedown_command(_root_url(options, "demo"), takedown_request(options))


def _doctor(options: argparse.Namespace) -> int:
    from paris_assets.runs.doctor import examine

    profile, url = _resolve(options)
    return examine(profile, url)


def _coordinator(options: argparse.Namespace) -> int:
    from paris_assets.runs.coordinator import coordinator_command

    return coordinator_command(options.listen)


def _settings(options: argparse.Namespace) -> int:
    from rich.console import Console

    from paris_assets.runs.settings_list import print_settings

    profile, _ = _resolve(options)
    return print_settings(profile, options.section, Console(highlight=False, soft_wrap=True, markup=False))


def _completion(options: argparse.Namespace) -> int:
    from paris_assets.runs.completion import print_completion

    print_completion(options.shell)
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": _run,
    "plan": _plan,
    "dev": _dev,
    "inspect": _inspect,
    "search": _search,
    "verify": _verify,
    "lint": _lint,
    "diff": _diff,
    "export": _export,
    "takedown": _takedown,
    "doctor": _doctor,
    "coordinator": _coordinator,
    "settings": _settings,
    "completion": _completion,
}


if __name__ == "__main__":
    sys.exit(main())
