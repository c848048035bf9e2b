"""Sizes of the product's files and functions, in lines."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.house.documents import REPOSITORY, tracked_files
from tests.house.graph import tree_of

PRODUCT = ("firmware", "relay", "provisioning")
CODE = (".py", ".js", ".mjs", ".html")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Size(NamedTuple):
    """The lines of a file or a function, blank ones included."""

    lines: int
    name: str


def product_files(suffixes: tuple[str, ...] = CODE) -> Iterator[Path]:
    """Yield the tracked files of the product with one of these suffixes."""
    for path in tracked_files():
        if path.relative_to(REPOSITORY).parts[0] in PRODUCT and path.suffix in suffixes:
            yield path


def longest_files(count: int) -> list[Size]:
    """Return the longest files of the product, the longest first."""
    sizes = (
        Size(len(path.read_text().splitlines()), path.relative_to(REPOSITORY).as_posix())
        for path in product_files()
    )
    return sorted(sizes, reverse=True)[:count]


def longest_functions(count: int) -> list[Size]:
    """Return the longest Python functions of the product, the longest first."""
    sizes = (
        Size(
            (node.end_lineno or node.lineno) - node.lineno + 1,
            f"{path.relative_to(REPOSITORY).as_posix()}:{node.lineno} {node.name}",
        )
        for path in product_files((".py",))
        for node in ast.walk(tree_of(path))
        if isinstance(node, _FUNCTIONS)
    )
    return sorted(sizes, reverse=True)[:count]


def lines_in(folder: str) -> int:
    """Return the lines of all Python files in a folder of the repository."""
    files = (REPOSITORY / folder).rglob("*.py")
    return sum(len(path.read_text().splitlines()) for path in files)
