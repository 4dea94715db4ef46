"""The arguments of `paris plan`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

EXAMPLES = """examples:
  paris plan --profile paris --source my_list.parquet --hardware a40 --count 8 --workers 8
  paris plan --profile paris --rows 11000000 --hardware h100 --price 2.5
  paris plan --source photos/ --root data/runs/mine --json
  paris plan --profile paris --source my_list.parquet --probe 100 --assume captioned=0.3"""
PLAN = (
    "Says before any work what a run would take: rows that survive each step, bytes of every stage, requests, hours\n"
    "of GPUs and cores, time by the clock and dollars. What earlier runs of the root measured counts before what is\n"
    "assumed, and every figure is named with its source. Nothing is written."
)


def add_plan(plan: argparse.ArgumentParser, profile_help: str, count: Callable[[str], Any]) -> None:
    """Add what `paris plan` takes.

    Args:
        count: type of whole numbers.
    """
    plan.add_argument("--profile", metavar="NAME|FILE", help=profile_help)
    plan.add_argument("--source", metavar="PATH|GLOB|URL", help="what a run would read (default: the root's)")
    plan.add_argument("--root", metavar="DIR|URL", help="whose earlier runs count (default: as of `paris run`)")
    plan.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting")
    plan.add_argument("--rows", type=count, metavar="N", help="rows of the source, in place of those it has")
    plan.add_argument("--workers", type=count, default=1, metavar="N", help="of the run, with a GPU each (1)")
    plan.add_argument("--hardware", metavar="NAME|FILE", help="a40, a100, h100, h200, t4, cpu, or a YAML file (cpu)")
    plan.add_argument("--count", type=count, metavar="N", help="how many GPUs, or cores (1, or this machine's cores)")
    plan.add_argument("--price", type=float, metavar="DOLLARS", help="of one of them, per hour")
    plan.add_argument("--assume", action="append", default=[], metavar="NAME=VALUE", help="a figure of yours")
    plan.add_argument("--probe", type=count, default=0, metavar="N", help="fetch so many urls now (0)")
    plan.add_argument("--json", action="store_true", help="print values as JSON")
