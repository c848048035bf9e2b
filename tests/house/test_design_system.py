"""One design system for four faces: owner's app, relay's pages, doorbell's page, saved page.

Its source is relay/web/static/style.css. Firmware imports nothing of the relay, so it has a copy.
"""

import re
from pathlib import Path

import pytest

from tests.house.documents import REPOSITORY

SOURCE = REPOSITORY / "relay" / "web" / "static" / "style.css"
COPY = REPOSITORY / "firmware" / "local_page" / "static" / "style.css"
FACES = {
    "owner's app": "relay/owner_app/index.html",
    "relay's pages": "relay/web/templates/base.html",
    "doorbell's page": "firmware/local_page/templates/base.html",
}
OWN_SHEETS = (
    "relay/owner_app/first.css",
    "relay/owner_app/style.css",
    "relay/owner_app/history.css",
    "relay/owner_app/live.css",
    "relay/owner_app/neighbours.css",
    "relay/web/static/pages.css",
    "relay/web/static/request_form.css",
    "relay/web/saved/page.css",
    "firmware/local_page/static/door.css",
)
TOKENS = frozenset(re.findall(r"^  (--[\w-]+):", SOURCE.read_text(), re.MULTILINE))
COLOURS = frozenset({"--paper", "--card", "--ink", "--muted", "--line", "--accent", "--warn"})


def test_the_doorbells_copy_is_the_source() -> None:
    assert COPY.read_bytes() == SOURCE.read_bytes(), f"cp {SOURCE} {COPY}"


@pytest.mark.parametrize("face", FACES)
def test_each_face_links_it(face: str) -> None:
    assert "style.css" in (REPOSITORY / FACES[face]).read_text()


def test_the_vendored_copies_are_the_source() -> None:
    source = SOURCE.read_text()
    of_app = (REPOSITORY / "relay" / "owner_app" / "vendor" / "style.css").read_text()
    assert of_app == re.sub(r"/\*.*?\*/\n*", "", source, flags=re.DOTALL)  # the app's is slimmer
    assert source in (SOURCE.parent / "vendor" / "verify.html").read_text()


def test_it_has_the_tokens() -> None:
    assert COLOURS <= TOKENS
    assert len(TOKENS) > 25


@pytest.mark.parametrize("name", OWN_SHEETS)
def test_no_face_has_tokens_of_its_own(name: str) -> None:
    """Live view is dark in both themes and paper is white: those may say other values."""
    sheet = (REPOSITORY / name).read_text()
    rules = re.findall(r":root\s*\{([^}]*)\}", without_print(sheet))
    assert [rule for rule in rules if set(re.findall(r"(--[\w-]+):", rule)) & TOKENS] == []
    used = set(re.findall(r"var\((--[\w-]+)", sheet))
    own = set(re.findall(r"^\s*(--[\w-]+):", sheet, re.MULTILINE))
    assert used - TOKENS - own - set_by_modules((REPOSITORY / name).parent) == set()


def set_by_modules(folder: Path) -> set[str]:
    """Return the properties that an app's modules set, such as where a trim begins."""
    modules = [path for path in folder.rglob("*.js") if "vendor" not in path.parts]
    return {
        name
        for path in modules
        for name in re.findall(r'setProperty\("(--[\w-]+)"', path.read_text())
    }


def without_print(sheet: str) -> str:
    return re.split(r"@media print", sheet)[0]


def test_every_sheet_is_looked_at() -> None:
    found = {
        path.relative_to(REPOSITORY).as_posix()
        for folder in ("relay/owner_app", "relay/web/static", "relay/web/saved", "firmware")
        for path in (REPOSITORY / folder).rglob("*.css")
        if "vendor" not in path.parts
    }
    assert found - {Path(SOURCE).relative_to(REPOSITORY).as_posix()} - {
        COPY.relative_to(REPOSITORY).as_posix(),
        "relay/web/static/map.css",
    } == set(OWN_SHEETS)
