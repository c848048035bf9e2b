"""Reads the documents: their links, the files and commands that they name, their tables."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_TEST_FILE = re.compile(r"\btests/[\w./-]+\.(?:py|mjs)\b")
_TEST_FUNCTION = re.compile(r"^(?:async )?def test_\w+|^\s*test\(", re.MULTILINE)
_COMMAND = re.compile(r"^    (doorward(?:-\w+)?) (.*)$|`(doorward(?:-\w+)?) ([^`]*)`", re.MULTILINE)
_MAKE = re.compile(r"(?:^    |`)make ([a-z]+)", re.MULTILINE)
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def documents() -> list[Path]:
    """Return every document that a reader may open."""
    top = [
        REPOSITORY / name
        for name in ("README.md", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md")
    ]
    maps = [REPOSITORY / name for name in ("tests/README.md", "firmware/README.md")]
    return [*top, *maps, *sorted((REPOSITORY / "docs").rglob("*.md"))]


def relative_links(document: Path) -> Iterator[tuple[Path, str]]:
    """Yield each link into the repository: the file, and the heading in it or an empty text."""
    for link in _LINK.findall(document.read_text()):
        if "://" not in link and not link.startswith("mailto:"):
            path, _, heading = link.partition("#")
            yield (document.parent / path if path else document), heading


def anchor_of(heading: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    return {anchor_of(heading) for heading in _HEADING.findall(document.read_text())}


def sections(document: Path) -> dict[str, str]:
    """Return the text below each heading of the second level, by that heading."""
    parts = re.split(r"^## (.+)\n", document.read_text(), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def sentences(document: Path) -> list[str]:
    """Return the sentences of a document's prose, without headings, tables, code and addresses.

    An item of a list ends a sentence, and so does a colon that ends a paragraph.
    """
    text = re.sub(r"^```.*?^```$", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"^(#.*|\|.*|    .*)$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^(?:[-*]|\d+\.) ", "\n\n", text, flags=re.MULTILINE)
    parts = re.split(r"\n\s*\n|(?<=[.!?])\**\s+(?=[\W_]*[A-Z`])", text)
    return [" ".join(part.split()) for part in parts if re.search(r"\w", part)]


def named_tests(text: str) -> list[str]:
    """Return the test files that a text names by their path."""
    return _TEST_FILE.findall(text)


def functions_of(path: Path) -> list[str]:
    """Return the beginnings of a test file's test functions."""
    return _TEST_FUNCTION.findall(path.read_text())


def commands(document: Path) -> list[list[str]]:
    """Return the Doorward command lines of a document, as words."""
    found = []
    for match in _COMMAND.finditer(document.read_text()):
        name, rest = match.group(1) or match.group(3), match.group(2) or match.group(4)
        found.append([name, *re.findall(r'"[^"]*"|\S+', rest)])
    return found


def table_rows(document: Path) -> list[list[str]]:
    """Return the cells of every row of a document's tables, without their headings."""
    lines = document.read_text().splitlines()
    headings = {number - 1 for number, line in enumerate(lines) if line.startswith("|-")}
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for number, line in enumerate(lines)
        if line.startswith("| ") and number not in headings
    ]


def make_targets(document: Path) -> list[str]:
    """Return the make targets that a document tells people to use."""
    return _MAKE.findall(document.read_text())


def tracked_files() -> list[Path]:
    """Return the files that git tracks and that are there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    paths = [REPOSITORY / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]
