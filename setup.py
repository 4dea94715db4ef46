"""Maps the sample list into the wheel; setup.cfg has no words for that."""

from setuptools import find_packages, setup

SAMPLE = "paris_assets.sample"

setup(
    packages=[*find_packages(include=["paris_assets", "paris_assets.*"]), SAMPLE],
    package_dir={SAMPLE: "data/sample"},
)
