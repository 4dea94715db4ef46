"""Benchmarks: processes of ours, set up as `paris` sets its own up."""

from paris_assets.process import prepare_process

prepare_process()
