"""An agency's keys stay off the relay's pages: whoever serves one could take what is put in.

Evidence is opened by the page that an agency saves, or by a command. The relay hands that page out
as a file, and what it is made of (relay/web/saved) isn't served otherwise.
"""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware.protocol.encoding import sha256_hex
from relay.verify.saved_page import SAVED_PAGE
from tests.relay.http_world import RELAY_URL, World, open_world

WEB = Path(__file__).parents[2] / "relay" / "web"
STATIC, TEMPLATES = WEB / "static", WEB / "templates"
FILES_TAKEN = {
    "answer-file": "an answer that was signed elsewhere",
    "enrolment": "a signed agreement",
    "file": "an agreement that an administrator signed elsewhere",
    "geojson": "a map",
}
"""What a page of the relay takes as a file, by the field's id. A key isn't among it."""
KEY_WORDS = re.compile(r"\b(?:keys?|private|secrets?|pem|seed|passphrase|password)\b")
WORDS_TAKEN = {"private_text": "what an agency notes of an outcome, for itself"}
"""What speaks of something private, or of a key, and is none; by the field's id."""
NO_WORDS = frozenset({"hidden", "file", "checkbox", "radio", "submit"})
WORDS: dict[str, str] = {
    key: text
    for path in WEB.joinpath("locales", "en").glob("*.json")
    for key, text in json.loads(path.read_text()).items()
}
FIELD_ID = re.compile(r'\bid="((?:[\w-]|\{\{[^"{}]*\}\})+)"')
"""A field's id, which a template may make of its values: `name-{{ one.id }}`."""
READS_FILES = re.compile(r"\.files\b|\bFileReader\b|showOpenFilePicker|getAsFile")
TAKES_A_KEY = re.compile(r"sealing_private_key|\bopenPackage\b|packages\.js|\bimportSealingPair\b")
OPENS = {"sealing.js", "notes.js", "thumbnails.js"}
"""Shared with the owner's app, which opens with its own keys; no page here loads them."""
IMPORT = re.compile(r"""(?:\bfrom|\bimport\s*\(?)\s*["'](\.[^"']+)["']""")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


def templates() -> dict[Path, str]:
    return {
        str(path.relative_to(TEMPLATES)): path.read_text() for path in TEMPLATES.rglob("*.html")
    }


def modules() -> dict[Path, str]:
    return {path: path.read_text() for path in STATIC.joinpath("js").rglob("*.js")}


def loaded() -> set[Path]:
    """Return every module of ours that a page of the relay loads, now or later."""
    named = re.findall(r'src="/static/([^"]+\.js)"', "\n".join(templates().values()))
    found: set[Path] = set()
    waiting = [STATIC / name for name in named]
    while waiting:
        module = waiting.pop()
        if module in found or not module.is_file():  # of vendor/, which may not be made yet
            continue
        found.add(module)
        waiting += [(module.parent / name).resolve() for name in IMPORT.findall(module.read_text())]
    return found


def test_no_page_has_a_field_for_a_key() -> None:
    """Seen to fail while evidence was opened in the relay's page (`key-file`)."""
    for name, page in templates().items():
        for field in re.findall(r"<input[^>]*type=\"file\"[^>]*>", page):
            (found,) = FIELD_ID.findall(field)
            assert found in FILES_TAKEN, (name, field)


def words_of(page: str, field: str, name: str) -> str:
    """Return what a field says of itself: its attributes and its labels, in English."""
    labels = re.findall(r"<label[^>]*>.*?</label>", page, re.DOTALL)
    said = " ".join([field, *(one for one in labels if f'for="{name}"' in one or field in one)])
    told = [WORDS.get(key, key) for key in re.findall(r"""\bt\(\s*["']([\w.]+)["']""", said)]
    return re.sub(r"[_.-]", " ", " ".join([said, *told])).lower()


def test_no_page_has_a_field_into_which_a_key_is_typed_or_pasted() -> None:
    """Seen to fail with a text field beside the file of an answer, called by its name or label."""
    seen = set()
    for name, page in templates().items():
        for field in re.findall(r"<(?:input|textarea)\b[^>]*>", page):
            kind = "".join(re.findall(r"\btype=\"(\w+)\"", field))
            if kind in NO_WORDS:
                continue
            assert kind != "password", (name, field)
            (found,) = FIELD_ID.findall(field)
            seen.add(found)
            words = words_of(page, field, found)
            assert found in WORDS_TAKEN or not KEY_WORDS.search(words), (name, field)
    assert {"reason", "networks", "typed", "name-{{ one.id }}"} <= seen


def test_no_module_reads_a_file_or_opens_a_package() -> None:
    """Seen to fail with evidence.js, saved.js and protocol/packages.js, which were served."""
    for path, source in modules().items():
        assert not READS_FILES.search(source), path
        assert path.name in OPENS or not TAKES_A_KEY.search(source), path


def test_no_page_loads_what_opens_with_a_key() -> None:
    """Seen to fail with evidence.js, which loaded protocol/packages.js and so sealing.js."""
    names = {path.name for path in loaded()}
    assert {"page.js", "save_package.js", "passkey.js", "encoding.js"} <= names
    assert not names & OPENS


async def test_the_page_that_takes_one_is_a_file_to_be_saved(world: World) -> None:
    """Seen to be shown, at the relay's origin, by a folder of files as it comes."""
    if not SAVED_PAGE.exists():
        pytest.skip("the page isn't built: `npm run vendor`")
    page = await world.browser(RELAY_URL).get("/static/vendor/verify.html")
    assert page.headers["content-disposition"] == 'attachment; filename="verify.html"'
    assert sha256_hex(page.content) == sha256_hex(SAVED_PAGE.read_bytes())
    again = {"If-None-Match": page.headers["etag"]}
    answer = await world.browser(RELAY_URL).get("/static/vendor/verify.html", headers=again)
    assert answer.status_code == 304
    assert "content-disposition" not in (await world.browser().get("/static/style.css")).headers
