"""Requests of two officers against the vectors that the browser's code is held against, too."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from firmware.protocol.encoding import WireError, canonical, decode_canonical, unb64u
from firmware.protocol.requests import EvidenceRequest, SignedRequest, check_signatures

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "requests.json").read_text())
SIGNING_KEY = unb64u(VECTORS["agency"]["signing_key"])


def parsed(signed: dict[str, Any]) -> SignedRequest:
    return msgspec.convert(signed, SignedRequest)


def test_a_request_of_two_officers_holds() -> None:
    signed = parsed(VECTORS["signed"])
    drafter, cosigner = check_signatures(signed, SIGNING_KEY)
    assert (drafter.name, cosigner.name) == ("Sgt. Öberg", "Insp. Dahl")
    assert signed.request_digest == VECTORS["digest"]


@pytest.mark.parametrize(("field", "value", "is_taken"), VECTORS["forms"])
def test_a_request_says_what_one_may(field: str, value: object, is_taken: bool) -> None:
    document = json.loads(VECTORS["signed"]["request"]) | {field: value}
    try:
        decode_canonical(EvidenceRequest, canonical(document))
    except WireError:
        assert not is_taken
    else:
        assert is_taken


@pytest.mark.parametrize("name", VECTORS["held"])
def test_passkeys_of_both_kinds_hold(name: str) -> None:
    check_signatures(parsed(VECTORS["held"][name]), SIGNING_KEY)


@pytest.mark.parametrize("name", VECTORS["refused"])
def test_what_two_officers_did_not_sign_is_refused(name: str) -> None:
    # Each was seen to be taken with its check taken out of firmware/protocol.
    with pytest.raises(WireError):
        check_signatures(parsed(VECTORS["refused"][name]), SIGNING_KEY)
