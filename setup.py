"""The one thing that pyproject.toml cannot say: requirements that depend on what is built.

Ray installs a job's wheel with `pip install --target`, which fetches every requirement again: 5 GB of torch a node,
and a Ray beside the cluster's own. So the wheel of `make wheel` requires nothing (its extra `libraries` has the list);
every other install requires the libraries.
"""

import os
import tomllib
from pathlib import Path

from setuptools import setup

project = tomllib.loads(Path(__file__).with_name("pyproject.toml").read_text())["project"]
setup(install_requires=[] if os.environ.get("VOXSTUDY_WHEEL") else project["optional-dependencies"]["libraries"])
