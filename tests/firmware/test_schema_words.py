"""What is wrong with a document is said in sentences: no pattern, no type's name, no schema."""

import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.protocol.encoding import WireError, canonical, decode
from firmware.protocol.grants import Statement
from firmware.protocol.register.entries import Agreement
from firmware.protocol.requests import EvidenceRequest
from tests.fakes.sample_keys import X25519_KEY
from tests.vectors.make_requests import _request

SCHEMA = re.compile(r"Expected|`(?:str|int|array|object|bool|null|float)`|regex|Invalid|\^\(|\\u")
CLIP = {"clip_id": "a" * 26, "manifest_digest": "0" * 64, "from_ms": 1, "to_ms": 2}


def said(kind: type, document: Any) -> str:
    with pytest.raises(WireError) as told:
        decode(kind, document if isinstance(document, bytes) else canonical(document))
    return str(told.value)


def grant(clips: list[Any]) -> dict[str, Any]:
    return {
        "v": 1,
        "domain": "doorward/statement/v1",
        "device": "c" * 20,
        "nonce": "a" * 26,
        "not_after_ms": 1_790_000_000_000,
        "terms": {
            "kind": "grant",
            "request_digest": "0" * 64,
            "clips": clips,
            "has_audio": False,
            "recipient": {"agency": "lakeland", "sealing_keys": [X25519_KEY]},
        },
    }


def test_seventeen_clips_get_a_sentence() -> None:
    assert decode(Statement, canonical(grant([CLIP] * 16)))
    words = "a list holds more than 16, which is the most (at `$.terms.clips`)"
    assert said(Statement, grant([CLIP] * 17)) == f"Statement: {words}"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"text": " "}, "a text is blank, or holds a sign that"),
        ({"contact": "\u200b"}, "a line of text is blank"),
        ({"text": ""}, "a text is missing"),
        ({"text": "x" * 2001}, "a text has more than 2000 characters"),
        ({"cells": []}, "a list holds fewer than 1, which is the least"),
        ({"retention_days": 0}, "a number is less than 1, which is the least"),
        ({"retention_days": 9999}, "a number is larger than 3650, which is the most"),
        ({"retention_days": "9"}, "a whole number was expected, and it is a text"),
        ({"incident_type": "protest"}, "'protest' is none of the values that may stand here"),
        ({"case_number": "lk 1"}, "a text isn't in the form that it has to have"),
        ({"urgency": 1}, "the field urgency isn't known here"),
        ({"v": 2}, "2 is none of the values that may stand here"),
        ({"text": None}, "a text was expected, and it is nothing"),
    ],
)
def test_each_field_says_what_it_lacks(change: dict[str, Any], words: str) -> None:
    assert words in said(EvidenceRequest, msgspec.to_builtins(_request()) | change)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it ends too early"),
        (b'{"v":1', "it ends too early"),
        (b"<html>", "it isn't JSON"),
        (b"[]", "an object was expected, and it is a list"),
        (b"{}", "is missing"),
    ],
)
def test_what_is_no_document_says_so(data: bytes, words: str) -> None:
    assert words in said(EvidenceRequest, data)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


@settings(max_examples=60)
@given(st.data())
def test_no_document_is_answered_with_a_schema(data: st.DataObject) -> None:
    right, kind = data.draw(
        st.sampled_from(
            [
                (msgspec.to_builtins(_request()), EvidenceRequest),
                (grant([CLIP]), Statement),
                ({}, Agreement),
            ]
        )
    )
    field = data.draw(st.sampled_from([*right, "terms", "v", "other"]))
    broken = json.dumps(right | {field: data.draw(VALUES)}).encode()
    words = ""
    try:
        decode(kind, broken)
    except WireError as error:
        words = str(error)
    assert not SCHEMA.search(re.sub(r"'.*'", "", words)), words
