"""The import graph of a package's parts: its first-level folders and files, and who imports whom.

A part is a folder or a module directly below `firmware/` or `relay/`. An edge A -> B says that a
file of A imports a file of B, at whatever depth, also inside a function. A layer is the length of
the longest chain of imports below a part; parts in one cycle share a layer.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.house.documents import REPOSITORY

Graph = dict[str, set[str]]
"""From each part to the parts that it imports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """The figures of one package's graph."""

    parts: int
    edges: int
    layers: int
    cycles: list[list[str]]


@cache
def python_files(package: str) -> tuple[Path, ...]:
    """Return the package's modules, sorted by path."""
    return tuple(sorted((REPOSITORY / package).rglob("*.py")))


@cache
def tree_of(path: Path) -> ast.Module:
    """Return a module's syntax tree."""
    return ast.parse(path.read_text(), filename=str(path))


def part_of(path: Path) -> str:
    """Return the part that a file belongs to: `clips` for firmware/clips/ring.py, `errors`."""
    first = path.relative_to(REPOSITORY).parts[1]
    return first.removesuffix(".py")


def imported_modules(tree: ast.Module) -> Iterator[str]:
    """Yield the dotted names that a module imports; `from a import b` yields `a.b` as well."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def graph_of(package: str) -> Graph:
    """Return the graph of `firmware` or `relay`, without the package's own __init__."""
    graph: Graph = {part_of(path): set() for path in python_files(package)}
    graph.pop("__init__", None)
    for path in python_files(package):
        if (part := part_of(path)) == "__init__":
            continue
        for name in imported_modules(tree_of(path)):
            first, *rest = name.split(".")
            if first == package and rest and rest[0] in graph and rest[0] != part:
                graph[part].add(rest[0])
    return graph


def cycles_of(graph: Graph) -> list[list[str]]:
    """Return the groups of parts that reach each other, each sorted."""
    reach = {part: _reached(graph, part) for part in graph}
    groups = {
        tuple(sorted(other for other in reach[part] if part in reach[other]))
        for part in graph
        if part in reach[part]
    }
    return [list(group) for group in sorted(groups)]


def _reached(graph: Graph, start: str) -> set[str]:
    found: set[str] = set()
    waiting = [*graph[start]]
    while waiting:
        part = waiting.pop()
        if part not in found:
            found.add(part)
            waiting.extend(graph[part])
    return found


def layers_of(graph: Graph) -> dict[str, int]:
    """Return each part's layer: 1 for a part that imports no other."""
    in_cycle = {part: tuple(group) for group in cycles_of(graph) for part in group}
    layers: dict[str, int] = {}

    def layer(part: str) -> int:
        if part not in layers:
            group = in_cycle.get(part, (part,))
            below = {other for member in group for other in graph[member]} - set(group)
            height = 1 + max((layer(other) for other in below), default=0)
            layers.update(dict.fromkeys(group, height))
        return layers[part]

    for part in graph:
        layer(part)
    return layers


def measure(package: str) -> Measure:
    """Measure one package."""
    graph = graph_of(package)
    return Measure(
        parts=len(graph),
        edges=sum(map(len, graph.values())),
        layers=max(layers_of(graph).values()),
        cycles=cycles_of(graph),
    )
