"""The project's commands, as pyproject.toml names them, and their argument parsers."""

import argparse
import importlib
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
"""Each command's function, as "module:function"."""
STARTED_BY = {"provisioning.entry": "provisioning.__main__"}
"""Modules that only start another one, which has the parser."""


def module_of(script: str) -> str:
    """Return the name of the module that a command begins with."""
    return SCRIPTS[script].partition(":")[0]


def parser_of(script: str) -> argparse.ArgumentParser:
    """Return a command's parser."""
    name = module_of(script)
    parser: argparse.ArgumentParser = importlib.import_module(STARTED_BY.get(name, name))._parser()
    return parser
