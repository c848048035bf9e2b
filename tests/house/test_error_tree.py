"""The tree of errors in firmware/errors.py names every error of the doorbell, and no other."""

import ast
import re
from pathlib import Path

from tests.house.documents import REPOSITORY
from tests.house.graph import python_files, tree_of

ERRORS = REPOSITORY / "firmware/errors.py"
ROOT = "DoorwardError"


def drawn() -> dict[str, str]:
    """Return each error of the drawn tree with the error that it stands below."""
    found: dict[str, str] = {}
    above = [ROOT]
    for line in (ast.get_docstring(tree_of(ERRORS)) or "").splitlines():
        if match := re.match(r"((?:│   |    )*)(?:├── |└── )(\w+)", line.removeprefix("    ")):
            depth = len(match[1]) // 4
            del above[depth + 1 :]
            found[match[2]] = above[-1]
            above.append(match[2])
    return found


def defined() -> dict[str, str]:
    """Return each error class of the doorbell's own program with its base, from the code."""
    bases = {
        node.name: node.bases[0].id
        for path in python_files("firmware")
        if "companion" not in Path(path).parts
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ClassDef) and node.bases and isinstance(node.bases[0], ast.Name)
    }

    def is_error(name: str) -> bool:
        return name == ROOT or (name in bases and is_error(bases[name]))

    return {name: base for name, base in bases.items() if name != ROOT and is_error(name)}


def test_the_tree_is_the_classes():
    assert drawn() == defined()
