"""No product file and no function grows beyond what a newcomer reads in one go.

The aim is about 400 lines a file and 40 a function; these are the walls behind the aim. A file that
comes near is split by what its parts are about, not by length.
"""

import ast
from pathlib import Path

from tests.house.documents import REPOSITORY, tracked_files

MOST_FILE_LINES = 420
MOST_FUNCTION_LINES = 65

PRODUCT = [
    path.relative_to(REPOSITORY).as_posix()
    for path in tracked_files()
    if path.suffix in (".py", ".js", ".mjs", ".html")
    and path.relative_to(REPOSITORY).parts[0] in ("firmware", "relay", "provisioning", "hardware")
]


def lines_of(name: str) -> int:
    return len((REPOSITORY / name).read_text().splitlines())


def test_no_product_file_is_longer_than_is_read_in_one_go():
    assert len(PRODUCT) > 500
    long = {name: lines_of(name) for name in PRODUCT if lines_of(name) > MOST_FILE_LINES}
    assert long == {}


def functions(path: Path) -> list[tuple[str, int]]:
    return [
        (node.name, (node.end_lineno or node.lineno) - node.lineno + 1)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def test_no_function_is_longer_than_a_screen():
    long = [
        f"{name}: {function} has {count} lines"
        for name in PRODUCT
        if name.endswith(".py")
        for function, count in functions(REPOSITORY / name)
        if count > MOST_FUNCTION_LINES
    ]
    assert long == []
