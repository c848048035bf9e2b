"""What texts advise is there: commands and their options, pages, documents, settings.

Texts are all that the programs say: strings in Python, templates, and the languages' files.
"""

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.documents import REPOSITORY, anchors
from tests.house.scripts import SCRIPTS, parser_of

SIDES = ("firmware", "relay", "provisioning")
_COMMAND = re.compile(r"(?<![\w./-])(doorward(?:-[a-z]+)?)(?![\w\[-])((?: (?:--)?[a-z][a-z-]*)*)")
_OPTIONS = re.compile(r"[^.;:\n]*")
_DOCUMENT = re.compile(r"\bdocs/[\w/.-]+\.(?:md|service)\b(?:, ([A-Z][\w' ]+))?")
_TABLE = re.compile(
    r"(?:(?:set|give) (?!it )([a-z_]+) in )?\[([a-z]+)\] (?:in|of) (relay|doorbell)\.toml"
)
_PAGE = re.compile(
    r"(?<![\w./:{}<>-])/(?:for-agencies|agency|admin|agencies|entries|town)\b[\w/-]*"
)
_ROUTE = re.compile(r'"(/[\w/{}.:-]*)"')
PROSE = {"doorward object store", "doorward images", "doorward bundle", "doorward shards"}
"""A certificate's name, and the first lines of signed documents."""
NO_PROGRAMS = {
    "doorward-admin",
    "doorward-copies",
    "doorward-data",
    "doorward-doctor",
    "doorward-invitation",
    "doorward-light",
    "doorward-maintenance",
    "doorward-network",
    "doorward-new",
    "doorward-player",
    "doorward-reboot",
    "doorward-setup",
    "doorward-storage",
    "doorward-home",
    "doorward-trial",
    "doorward-wifi",
}
"""Prefixes of codes and folders, a key's and a partition's label, a user, and units of systemd."""


def texts() -> Iterator[tuple[str, str]]:
    """Yield every text that a program may say, with its file."""
    for side in SIDES:
        for path in sorted((REPOSITORY / side).rglob("*")):
            name = str(path.relative_to(REPOSITORY))
            if "/vendor/" in name or "/licenses/" in name:
                continue
            if path.suffix == ".py":
                yield from ((name, text) for text in python_texts(path))
            elif path.suffix == ".json" and "locales" in name:
                yield from ((name, str(text)) for text in json.loads(path.read_text()).values())
            elif path.suffix == ".html":
                yield name, path.read_text()


def python_texts(path: Path) -> Iterator[str]:
    """Yield a module's strings; what an f-string fills in is a word of its own."""
    tree = ast.parse(path.read_text())
    inner = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "X" for part in node.values]
            yield "".join(map(str, parts))
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner
        ):
            yield node.value


TEXTS = list(texts())


def advised() -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Return each advised command once: its program, the words behind it, and its options."""
    found = {}
    for name, text in TEXTS:
        for match in _COMMAND.finditer(text):
            program, words = match.group(1), match.group(2).split()
            commands = []
            for word in words:
                if word.startswith("--"):
                    break
                commands.append(word)
            rest = _OPTIONS.match(text, match.end(1))
            options = re.findall(r"(?<![\w-])--[a-z][a-z-]+", rest.group() if rest else "")
            found.setdefault((program, tuple(commands[:3]), tuple(options)), name)
    return sorted(found)


def subparsers(parser):
    return {
        name: sub
        for action in parser._actions
        if isinstance(action.choices, dict)
        for name, sub in action.choices.items()
    }


def options_of(parser) -> set[str]:
    own = {option for action in parser._actions for option in action.option_strings}
    return own.union(*(options_of(sub) for sub in subparsers(parser).values()))


@pytest.mark.parametrize(
    ("program", "words", "options"),
    [one for one in advised() if one[0] not in NO_PROGRAMS],
    ids=lambda part: part if isinstance(part, str) else " ".join(part),
)
def test_an_advised_command_exists(
    program: str, words: tuple[str, ...], options: tuple[str, ...]
) -> None:
    # Seen to fail with the action named mend-text in relay/cli/admin.py.
    if " ".join((program, *words)) in PROSE:
        return
    assert program in SCRIPTS
    if (program, words[:1]) == ("doorward-agency", ("verify",)):
        program, words = "doorward-verify", words[1:]  # it hands everything on
    parser = parser_of(program)
    for word in words:
        known = subparsers(parser)
        if not known:
            break  # what follows is prose, or the command's own argument
        assert word in known, f"{program} has no {word!r}"
        parser = known[word]
    assert set(options) <= options_of(parser)


def test_an_advised_document_and_its_section_exist() -> None:
    found = {match.group(0, 1) for _, text in TEXTS for match in _DOCUMENT.finditer(text)}
    assert found
    for whole, section in found:
        path = REPOSITORY / whole.partition(",")[0]
        assert path.exists(), whole
        if section:
            wanted = section.strip().lower().replace(" ", "-")
            assert any(
                anchor.startswith(wanted) or wanted.startswith(anchor) for anchor in anchors(path)
            ), whole


def test_an_advised_setting_exists() -> None:
    examples = {
        "relay": tomllib.loads((REPOSITORY / "relay/relay.example.toml").read_text()),
        "doorbell": tomllib.loads((REPOSITORY / "firmware/doorbell.example.toml").read_text()),
    }
    found = {match.groups() for _, text in TEXTS for match in _TABLE.finditer(text)}
    assert len(found) > 3
    for key, table, file in found:
        known = examples[file].get(table)
        assert known is not None, f"{file}.toml has no [{table}]"
        rows = known if isinstance(known, list) else [known]
        names = {name for row in rows for name in row}
        assert not key or key in names, f"[{table}] of {file}.toml has no {key}"


def test_an_advised_page_exists() -> None:
    routes = {
        route
        for folder in ("relay/web", "relay/app")
        for path in (REPOSITORY / folder).rglob("*.py")
        for route in _ROUTE.findall(path.read_text())
    } | {"/for-agencies", "/admin", "/agency", "/town"}
    patterns = [
        re.compile(re.sub(r"{[^}]+}", "[^/]+", route).rstrip("/") + r"/?\Z") for route in routes
    ]
    found = {
        (name, page)
        for name, text in TEXTS
        if " " in text and not text.startswith(("GET ", "POST ")) and not name.endswith(".html")
        for page in _PAGE.findall(text)
    }
    assert found
    for name, page in found:
        assert any(pattern.match(page.rstrip(".")) for pattern in patterns), (name, page)
