"""How parts are wired, counted over the syntax trees of a package: constructors and callbacks.

A callback is a parameter of a constructor, or a field of a dataclass, whose type is callable: it
says `Callable`, or names an alias of such a type or a protocol of nothing but `__call__`. By it a
reader's "go to definition" ends.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Constructor:
    """One class, and what it is built from."""

    path: str
    name: str
    parameters: tuple[str, ...]
    callbacks: tuple[str, ...]
    is_dataclass: bool

    def __str__(self) -> str:
        return f"{self.path}: {self.name}({', '.join(self.callbacks or self.parameters)})"


@cache
def sources(package: str) -> Mapping[str, str]:
    """Return the text of each module of a package, by its path in the repository."""
    paths = sorted((REPOSITORY / package).rglob("*.py"))
    return {path.relative_to(REPOSITORY).as_posix(): path.read_text() for path in paths}


def constructors(modules: Mapping[str, str]) -> list[Constructor]:
    """Return all classes that have a constructor, dataclasses among them."""
    trees = {path: ast.parse(text) for path, text in modules.items()}
    is_callable = re.compile(
        r"\b(?:" + "|".join({"Callable", *_callable_names(list(trees.values()))}) + r")\b"
    )
    return [
        _constructor(path, node, is_callable)
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and (_init(node) is not None or _is_dataclass(node))
    ]


def callbacks(modules: Mapping[str, str]) -> list[Constructor]:
    """Return the constructors and dataclasses that take callbacks, those with most first."""
    taking = [one for one in constructors(modules) if one.callbacks]
    return sorted(taking, key=lambda one: len(one.callbacks), reverse=True)


def long_constructors(modules: Mapping[str, str], *, most: int) -> list[Constructor]:
    """Return the classes whose own constructor has more than `most` parameters.

    Dataclasses aren't among them: one of facts has as many fields as the fact.
    """
    return [
        one for one in constructors(modules) if not one.is_dataclass and len(one.parameters) > most
    ]


def _constructor(path: str, node: ast.ClassDef, is_callable: re.Pattern[str]) -> Constructor:
    init = _init(node)
    if init is None:
        fields = [
            (field.target.id, field.annotation)
            for field in node.body
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        ]
    else:
        given = [*init.args.posonlyargs, *init.args.args, *init.args.kwonlyargs][1:]
        fields = [(one.arg, one.annotation) for one in given if one.annotation is not None]
    return Constructor(
        path=path,
        name=node.name,
        parameters=tuple(name for name, _ in fields),
        callbacks=tuple(name for name, kind in fields if is_callable.search(ast.unparse(kind))),
        is_dataclass=init is None,
    )


def _init(node: ast.ClassDef) -> ast.FunctionDef | None:
    functions = (one for one in node.body if isinstance(one, ast.FunctionDef))
    return next((one for one in functions if one.name == "__init__"), None)


def _is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(one) for one in node.decorator_list)


def _callable_names(trees: list[ast.Module]) -> Iterator[str]:
    """Give the names of callable types: aliases of `Callable`, and protocols of `__call__`."""
    for tree in trees:
        for node in tree.body:
            match node:
                case (
                    ast.Assign(targets=[ast.Name(id=name)], value=value)
                    | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
                ) if re.search(r"\bCallable\b", ast.unparse(value)):
                    yield name
                case ast.ClassDef(name=name) if _is_call_protocol(node):
                    yield name


def _is_call_protocol(node: ast.ClassDef) -> bool:
    is_protocol = any("Protocol" in ast.unparse(base) for base in node.bases)
    functions = [
        one.name for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return is_protocol and functions == ["__call__"]
