"""Names of modules, classes and public functions in Python and JavaScript, and refused words."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.house.words import ALLOWED, EXEMPT, KEPT_MODULES, REFUSED, STANDARD_NOUNS, Kind

PACKAGES = ("firmware", "relay")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_EXPORT = re.compile(
    r"^export\s+(?:default\s+)?(?:async\s+)?(class|function)\b\s*\*?\s*(\w+)", re.MULTILINE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A name, and the file that defines it, relative to the repository."""

    kind: Kind
    name: str
    path: str

    @property
    def words(self) -> list[str]:
        """The name's words in small letters."""
        return [word.lower() for word in _WORD.findall(self.name)]


def names_below(root: Path) -> Iterator[Name]:
    """Yield the names of both packages of a repository, other people's code left out."""
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            inside = path.relative_to(root)
            if path.suffix in (".py", ".js", ".mjs") and "vendor" not in inside.parts:
                yield from names_in(inside.as_posix(), path.read_text())


def names_in(path: str, text: str) -> Iterator[Name]:
    """Yield the name of a file and of its folder, and the names that its text defines."""
    folder, _, file = path.rpartition("/")
    stem = file.partition(".")[0]
    if stem == "__init__":
        yield Name(kind="module", name=folder.rpartition("/")[2], path=path)
    elif not stem.startswith("__"):
        yield Name(kind="module", name=stem, path=path)
    defined = _in_python(ast.parse(text).body) if path.endswith(".py") else _in_javascript(text)
    for kind, name in defined:
        yield Name(kind=kind, name=name, path=path)


def complaint_about(name: Name) -> str | None:
    """Return what to write instead of a name, or None where nothing is wrong with it."""
    if name.name in ALLOWED or name.path.startswith(EXEMPT) or _is_kept(name):
        return None
    refused, words = REFUSED[name.kind], name.words
    whole = " ".join(words)
    instead = refused.alone.get(whole) or _anywhere(refused.anywhere, whole)
    if instead is None and len(words) > 1:
        instead = refused.before.get(words[0])
    if instead is None:
        return None
    return f"{name.path}: {name.kind} {name.name}: write {instead}"


def complaint_about_activity(name: Name) -> str | None:
    """Return that a module's name is an activity (-ing) and no noun, or None."""
    if name.kind != "module" or _is_kept(name) or not name.words:
        return None
    last = name.words[-1]
    if not last.endswith("ing") or last in STANDARD_NOUNS:
        return None
    return f"{name.path}: a module is named by a noun, not by an activity: {name.name}"


def _is_kept(name: Name) -> bool:
    return name.kind == "module" and name.path in KEPT_MODULES


def _anywhere(refused: Mapping[str, str], whole: str) -> str | None:
    found = (instead for words, instead in refused.items() if f" {words} " in f" {whole} ")
    return next(found, None)


def _in_python(body: list[ast.stmt]) -> Iterator[tuple[Kind, str]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            if not node.name.startswith("_"):
                yield "class", node.name
            yield from _in_python(node.body)
        elif isinstance(node, _FUNCTIONS) and not node.name.startswith("_"):
            yield "function", node.name


def _in_javascript(text: str) -> Iterator[tuple[Kind, str]]:
    for form, name in _EXPORT.findall(text):
        yield ("class" if form == "class" else "function"), name
