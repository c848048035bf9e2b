"""Names use the field's words: listed home-made ones are refused, by kind of name."""

import pytest

from tests.house.documents import REPOSITORY
from tests.house.names import (
    Name,
    complaint_about,
    complaint_about_activity,
    names_below,
    names_in,
)
from tests.house.words import ALLOWED, EXEMPT, KEPT_MODULES

NAMES = list(names_below(REPOSITORY))


@pytest.mark.parametrize("kind", ["module", "class", "function"])
def test_no_name_has_a_refused_word(kind: str):
    names = [name for name in NAMES if name.kind == kind]
    complaints = [text for name in names if (text := complaint_about(name))]
    assert not complaints, "\n".join(complaints)


def test_modules_are_named_by_nouns():
    complaints = [text for name in NAMES if (text := complaint_about_activity(name))]
    assert not complaints, "\n".join(complaints)


def test_each_exception_is_still_needed():
    assert {name.name for name in NAMES} >= ALLOWED.keys()
    assert {name.path for name in NAMES} >= KEPT_MODULES.keys()
    for folder in EXEMPT:
        assert (REPOSITORY / folder).is_dir()


def complaints_about(path: str, text: str) -> list[str]:
    """Return what is wrong with the names in a file, without the file's own name."""
    found = [complaint for name in names_in(path, text) if (complaint := complaint_about(name))]
    return [complaint.removeprefix(f"{path}: ") for complaint in found]


def test_a_planted_python_file_is_refused_with_what_to_write_instead():
    text = (
        "class KnockShelf:\n"
        "    async def hear_lost(self): ...\n"
        "    def hear(self): ...\n"
        "    def _say_state(self): ...\n"
        "class _Shelf: ...\n"
        "class Shelfish: ...\n"
        "class Visit: ...\n"
        "class ReadVisit: ...\n"
        "def open_reel(): ...\n"
    )
    assert complaints_about("firmware/live/drip.py", text) == [
        "module drip: write pacer",
        "class KnockShelf: write Source, or TileStore for a log's tiles",
        "function hear_lost: write on, as in on_nack or on_receiver_report",
        "class Visit: write LiveSession",
        "function open_reel: write gops",
    ]


def test_a_planted_javascript_file_is_refused_too():
    text = (
        "export class NoteBook {}\n"
        "class LineMeter {}\n"
        "export async function livesHere() {}\n"
        "export const happenings = 1;\n"
        "export function* untoldOf() {}\n"
    )
    assert complaints_about("relay/owner_app/said.js", text) == [
        "module said: write message or reply",
        "class NoteBook: write Projection or Store",
        "function livesHere: write residents",
        "function untoldOf: write unpublished or pending",
    ]


def test_what_stands_on_the_wire_keeps_its_name():
    assert complaints_about("firmware/protocol/promises.py", "class Promise: ...\n") == []
    assert complaints_about("firmware/outbox/promises.py", "class Promise: ...\n") != []


def test_a_package_is_named_by_its_folder():
    assert [*names_in("firmware/own_page/__init__.py", "")] == [
        Name(kind="module", name="own_page", path="firmware/own_page/__init__.py")
    ]


@pytest.mark.parametrize(
    ("path", "is_refused"),
    [
        ("firmware/decisions/fulfilling.py", True),
        ("relay/web/static/js/map/drawing.js", True),
        ("relay/app/web_wiring.py", False),
        ("firmware/clips/ring.py", False),
        ("firmware/decisions/settings.py", False),
        ("firmware/companion/owner/waiting_texts.py", False),
    ],
)
def test_a_module_named_by_an_activity_is_refused(path: str, is_refused: bool):
    (name,) = names_in(path, "")
    assert (complaint_about_activity(name) is not None) == is_refused
