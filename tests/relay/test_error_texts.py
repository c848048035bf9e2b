"""Whatever code the API answers with, the owner's app has words of its own for it."""

import ast
import json
import re
from pathlib import Path

import pytest

from relay.errors import said

RELAY = Path(__file__).parents[2] / "relay"
SAID_IN_DETAIL = {"invalid", "refused", "http", "host"}
"""These carry the one thing that is wrong in their message; the app shows that."""
OFFICERS_ONLY = {"suspended_by_agency", "network", "oidc", "oidc_known", "oidc_stale", "media_type"}
"""No owner meets these: an agency's own ways of signing in, and a form in no known charset."""
CODES = (
    r'ApiError\(\s*\d+,\s*"([a-z_]+)"',
    r'SignInRefused\(\s*"([a-z_]+)"',
    r'return \d{3}, "([a-z_]+)"',
    r'"code": "([a-z_]+)"',
    r'_answer\(\d+, "([a-z_]+)"',
    r'send_error\(send, \d+, "([a-z_]+)"',
)


def codes() -> set[str]:
    folders = (RELAY / "api", RELAY / "people")
    files = [path for folder in folders for path in folder.rglob("*.py")]
    text = "\n".join(path.read_text() for path in [*files, RELAY / "web" / "security.py"])
    return {code for pattern in CODES for code in re.findall(pattern, text)}


@pytest.mark.parametrize("language", ["en", "sv"])
def test_every_error_code_has_words(language):
    words = json.loads((RELAY / "owner_app" / "locales" / f"{language}.json").read_text())
    known = {key.removeprefix("error.code.") for key in words if key.startswith("error.code.")}
    assert len(codes()) >= 10, "the search for codes finds too few"
    assert codes() - SAID_IN_DETAIL - OFFICERS_ONLY - known == set()
    assert known - codes() == set(), "words for codes that the relay never says"


def test_no_error_is_asked_whether_it_is_true():
    """`error or "no answer"` never says the second: an exception is true, also without words."""
    asked = []
    for folder in ("firmware", "relay", "provisioning"):
        for path in (RELAY.parent / folder).rglob("*.py"):
            for handler in ast.walk(ast.parse(path.read_text())):
                if isinstance(handler, ast.ExceptHandler) and handler.name:
                    asked += [
                        f"{path.name}:{node.lineno}"
                        for node in ast.walk(handler)
                        if isinstance(node, ast.BoolOp)
                        and isinstance(node.values[0], ast.Name)
                        and node.values[0].id == handler.name
                    ]
    assert asked == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "it took too long"),
        (TimeoutError("no answer in 5 s"), "no answer in 5 s"),
        (ConnectionResetError(), "ConnectionResetError"),
        (OSError("the disk is full"), "the disk is full"),
    ],
)
def test_an_error_without_words_is_named(error, words):
    assert said(error) == words
