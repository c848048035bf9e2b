"""The routes of docs/architecture.md: a parser of their steps, and a check of them by the code.

A route is a heading and a numbered list. A step names a file and a function, and calls the next
step's. Where control doesn't go by a call, the step says through what, and which function joins
the two ends:

    1. `file` `function`: text
    2. `file` `function`: text
       Through `name`, joined in `file` `function` (`end`, `end`).

A step is said to call what its body names: receivers' types aren't inferred.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.house.documents import REPOSITORY
from tests.house.graph import tree_of

ARCHITECTURE = REPOSITORY / "docs" / "architecture.md"
BEGIN, END = "<!-- routes:begin -->\n", "<!-- routes:end -->"

_HEADING = re.compile(r"^### (.+)\n", re.MULTILINE)
_ITEM = re.compile(r"^\d+\. ", re.MULTILINE)
_PLACE = r"`([\w./-]+)` `([\w.#]+)`"
_STEP = re.compile(rf"{_PLACE}: (.+)")
_JOIN = re.compile(rf"Through `([\w#]+)`, joined in {_PLACE} \(`([\w#]+)`, `([\w#]+)`\)\.")


class RouteUnreadable(ValueError):
    """A step of a route that isn't written in the list's form; the text is the step's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A function in a file: `Class.method`, `function.Nested.method`, in JavaScript `Class.#name`.

    `file` is relative to the repository, with slashes.
    """

    file: str
    function: str

    def __str__(self) -> str:
        return f"{self.file} {self.function}"

    @property
    def called_as(self) -> str:
        """How callers name it: by its last part, or a constructor by its class."""
        *owners, name = self.function.split(".")
        return owners[-1] if name in {"__init__", "constructor"} and owners else name

    @property
    def names(self) -> set[str]:
        """How wiring may name it: as callers do, or by its class."""
        return {self.called_as, *self.function.split(".")[-2:-1]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """A hand-over that isn't a call: through `name`, from one of the `ends` to the other.

    `name` stands in the step's function; both ends stand in `place`, the wiring's function.
    """

    name: str
    place: Place
    ends: tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a route; `join` is None where it calls the next step's function."""

    place: Place
    join: Join | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route's heading and its steps in order."""

    title: str
    steps: list[Step]


def written_routes() -> str:
    """Return the text between the document's markers."""
    _, _, rest = ARCHITECTURE.read_text().partition(BEGIN)
    block, end, _ = rest.partition(END)
    if not end:
        raise RouteUnreadable(f"{ARCHITECTURE} has no block {BEGIN.strip()} … {END}")
    return block


def parse_routes(text: str) -> list[Route]:
    """Return the routes of a text, or raise RouteUnreadable."""
    parts = _HEADING.split(text)[1:]
    return [
        Route(title=title, steps=[_step_of(item) for item in _ITEM.split(block)[1:]])
        for title, block in zip(parts[::2], parts[1::2], strict=True)
    ]


def faults_of(route: Route, root: Path = REPOSITORY) -> list[str]:
    """Return where a route isn't as the code below `root` is, a sentence for each fault."""
    places = [step.place for step in route.steps]
    places += [step.join.place for step in route.steps if step.join is not None]
    missing = [fault for place in places if (fault := _fault_of_place(place, root))]
    return missing or [
        fault
        for step, after in pairwise(route.steps)
        for fault in _faults_between(step, after, root)
    ]


def _step_of(item: str) -> Step:
    text = " ".join(item.split())
    found = _STEP.match(text)
    join = _JOIN.search(text)
    if found is None or ("Through `" in text) != (join is not None):
        raise RouteUnreadable(text)
    return Step(
        place=Place(file=found[1], function=found[2]),
        join=None
        if join is None
        else Join(
            name=join[1],
            place=Place(file=join[2], function=join[3]),
            ends=(join[4], join[5]),
        ),
    )


def _fault_of_place(place: Place, root: Path) -> str | None:
    if not (root / place.file).is_file():
        return f"there is no file {place.file}"
    if _names_in(place, root) is None:
        return f"{place.file} has no function {place.function}"
    return None


def _faults_between(step: Step, after: Step, root: Path) -> Iterator[str]:
    named, join = _names_in(step.place, root) or set(), step.join
    if join is None:
        if after.place.called_as not in named:
            yield f"{step.place} doesn't name {after.place.called_as} of {after.place.file}"
        return
    if join.name not in named:
        yield f"{step.place} doesn't name {join.name}, through which it hands over"
    joined = _names_in(join.place, root) or set()
    for end in join.ends:
        if end not in joined:
            yield f"{join.place} doesn't name {end}, an end that it joins"
    if join.ends[1] not in after.place.names:
        yield f"{join.place} is said to join {join.ends[1]}, and the next step is {after.place}"


def _names_in(place: Place, root: Path) -> set[str] | None:
    """Return the names in a function's body, its parameters' too; None if there is none."""
    path = root / place.file
    if path.suffix == ".js":
        body = _javascript_body(path.read_text(), place.function.split("."))
        return None if body is None else set(re.findall(r"#?\w+", body))
    found = _python_function(tree_of(path), place.function.split("."))
    return None if found is None else set(_python_names(found))


def _python_function(tree: ast.AST, names: list[str]) -> ast.AST | None:
    """Return the definition that the names lead to, each inside the one before."""
    for name in names:
        inner = (node for node in _definitions_in(tree) if node.name == name)
        found = next(inner, None)
        if found is None:
            return None
        tree = found
    return tree


def _definitions_in(
    tree: ast.AST,
) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Yield what is defined in a node, without what is defined inside of those."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node
        else:
            yield from _definitions_in(node)


def _python_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name
            case ast.keyword(arg=str(name)):
                yield name


def _javascript_body(text: str, names: list[str]) -> str | None:
    """Return the body of a formatted function or method, without comments."""
    code = re.sub(r"/\*.*?\*/|(?<!:)//[^\n]*", "", text, flags=re.DOTALL)
    *owners, name = names
    for owner in owners:
        found = re.search(rf"^(?:export )?class {owner}\b.*?^}}", code, re.MULTILINE | re.DOTALL)
        if found is None:
            return None
        code = found[0]
    indent = "  " * len(owners)
    word = "(?:static )?(?:async )?\\*?" if owners else r"(?:export )?(?:async )?function\*? "
    begin = rf"^{indent}{word}{re.escape(name)}\("
    found = re.search(rf"{begin}(.*?)(?:^{indent}}}|{{}}$)", code, re.MULTILINE | re.DOTALL)
    return None if found is None else found[1]
