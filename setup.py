"""Maps the sample list into the wheel, which setup.cfg has no words for; pyproject.toml and setup.cfg say all else."""

from setuptools import find_packages, setup

SAMPLE = "paris_assets.sample"

setup(
    packages=[*find_packages(include=["paris_assets", "paris_assets.*"]), SAMPLE],
    package_dir={SAMPLE: "data/sample"},
)
