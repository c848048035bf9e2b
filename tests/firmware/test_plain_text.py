"""Text by others can't turn or break what stands beside it: a name, the minutes asked for.

Seen to fail with `MISLEADING` taken out of encoding.py's patterns, and of `apart`.
"""

import json
from pathlib import Path

import msgspec
import pytest

from firmware.protocol.decisions import IdentityGiven
from firmware.protocol.encoding import Line, WireError, as_line, decode_canonical
from firmware.protocol.requests import EvidenceRequest
from relay.web.i18n import apart, load_texts

MISLEADING = [*range(0x2028, 0x202F), *range(0x2066, 0x206A), 0x61C, 0x200E, 0x200F]
NAMES = ["משטרת תל אביב 12", "شرطة دبي", "پلیس می\u200cروم", "Polisen på Öland", "👩\u200d🚒 警察"]
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "requests.json").read_text("utf-8"))
REQUEST = decode_canonical(EvidenceRequest, VECTORS["signed"]["request"].encode())


@pytest.mark.parametrize("code", MISLEADING)
def test_what_turns_or_breaks_a_line_unseen_stands_in_no_document(code: int) -> None:
    text = f"Lakeland{chr(code)} Police"
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text, Line)
    for field in ("text", "reason", "danger", "officer_name", "cosigner_name", "contact"):
        data = msgspec.structs.replace(REQUEST, **{field: text}).encode()
        with pytest.raises(WireError, match=field):
            decode_canonical(EvidenceRequest, data)
    for field in ("name", "address", "contact"):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({field: text}, IdentityGiven)
    assert as_line(text, otherwise="-") == "Lakeland  Police"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"text": "We look for\u202e a car."},
            "a text is blank, or holds a sign that turns or hides what",
        ),
        ({"officer_name": "Sgt.\nBerg"}, "a line of text is blank, or holds a line break, another"),
        ({"case_number": "lk 1"}, "a text isn't in the form that it has to have"),
    ],
)
def test_what_is_wrong_with_a_text_is_told_in_words(changes: dict[str, str], words: str) -> None:
    """Whoever pasted such a sign can't see it, and reads no pattern."""
    data = msgspec.structs.replace(REQUEST, **changes).encode()
    with pytest.raises(WireError) as told:
        decode_canonical(EvidenceRequest, data)
    (field,) = changes
    assert words in str(told.value)
    assert f"at `$.{field}`" in str(told.value)
    assert ("\\u" in str(told.value)) is False


@pytest.mark.parametrize("name", NAMES)
def test_names_in_any_writing_are_lines_as_they_are(name: str) -> None:
    assert msgspec.convert(name, Line) == name
    data = msgspec.structs.replace(REQUEST, officer_name=name, text=f"{name}\n{name}").encode()
    assert decode_canonical(EvidenceRequest, data).officer_name == name


def test_what_is_filled_into_a_page_stands_apart_from_its_words() -> None:
    assert apart("Lakeland \u202ePolice\u2028") == "Lakeland Police"
    assert apart("משטרת\u2069 12") == "\u2068משטרת 12\u2069"
    assert apart(12) == 12
    text = load_texts()["en"]("public_request.title", agency="משטרה")
    assert "\u2068משטרה\u2069" in text
