"""firmware.protocol.releases: a record opens to one grant and one package, and to nothing else."""

import secrets
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.protocol.custody import ReleaseProof
from firmware.protocol.encoding import Document, WireError, decode_canonical
from firmware.protocol.events import Event, PackageReady
from firmware.protocol.releases import (
    ReleaseOpening,
    ReleaseRecord,
    is_of_delivery,
    is_of_grant,
    open_release,
    package_id_of,
)
from tests.fakes.releases import DEVICE, opening_of, released

DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
AGENCIES = st.sampled_from(["lakeland", "lakeland-police", "polk"])


def opened(grant: str, request: str, agency: str) -> ReleaseOpening:
    return open_release(
        device=DEVICE,
        grant_digest=grant,
        request_digest=request,
        agency=agency,
        random_bytes=secrets.token_bytes,
    )


@given(grant=DIGESTS, other=DIGESTS, request=DIGESTS, agency=AGENCIES)
@settings(max_examples=50, deadline=None)
def test_a_record_opens_to_its_own_grant_and_package_alone(
    grant: str, other: str, request: str, agency: str
) -> None:
    opening = opened(grant, request, agency)
    record = opening.record
    right_grant = {"device": DEVICE, "grant_digest": grant, "salt_g": opening.salt_g}
    right_delivery = {
        "package_id": package_id_of(grant),
        "request_digest": request,
        "agency": agency,
        "salt_d": opening.salt_d,
    }
    assert is_of_grant(record, **right_grant)
    assert is_of_delivery(record, **right_delivery)
    wrong_grants = {"device": "z" * 20, "grant_digest": other, "salt_g": opening.salt_d}
    wrong_deliveries = {
        "package_id": package_id_of(other),
        "request_digest": other,
        "agency": agency + "-2",
        "salt_d": opening.salt_g,
    }
    for name, wrong in wrong_grants.items():
        if wrong != right_grant[name]:
            assert not is_of_grant(record, **(right_grant | {name: wrong}))
    for name, wrong in wrong_deliveries.items():
        if wrong not in (right_delivery[name], request if name == "request_digest" else None):
            assert not is_of_delivery(record, **(right_delivery | {name: wrong}))


def test_the_same_grant_twice_is_committed_to_by_two_records() -> None:
    first, second = (opened("ab" * 32, "cd" * 32, "lakeland") for _ in range(2))
    salts = [one for it in (first, second) for one in (it.record.salt, it.salt_g, it.salt_d)]
    assert len(set(salts)) == 6
    assert first.record.grant != second.record.grant
    assert first.record.delivery != second.record.delivery


PROOF = ReleaseProof(
    record=opening_of().record, salt_g=opening_of().salt_g, salt_d=opening_of().salt_d, proof="p"
)
DOCUMENTS: list[Document] = [opening_of().record, opening_of(), PROOF]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda one: type(one).__name__)
def test_each_document_has_one_encoding(document: Document) -> None:
    kind, data = type(document), document.encode()
    assert decode_canonical(kind, data) == document
    text = data.decode()
    bent = {
        "cut off": data[:-1],
        "said twice": data + data,
        "a space more": data.replace(b":", b": ", 1),
        "in another order": ("{" + '"v":2,' + text[1:].replace(',"v":2}', "}")).encode(),
        "a field twice": text.replace('"v":2}', '"v":2,"v":2}').encode(),
        "a field more": text.replace('"v":2}', '"v":2,"x":1}').encode(),
        "an older version": text.replace('"v":2', '"v":1').encode(),
        "a later version": text.replace('"v":2', '"v":3').encode(),
        "too large": data[:-1] + b" " * 70_000 + b"}",
        "a longer salt": text.replace('"salt":"', '"salt":"A').encode(),
        "padding": text.replace('","v":2', '=","v":2').encode(),
    }
    for other in {*bent.values()} - {data}:  # not each has a salt at its end
        with pytest.raises(WireError, match=kind.__name__):
            decode_canonical(kind, other)


@pytest.mark.parametrize("field", ["record", "salt_d"])
def test_an_announcement_without_its_release_is_refused(field: str) -> None:
    ready: Any = PackageReady(
        package_id="a" * 26,
        request_id="b" * 26,
        agency="lakeland",
        size_bytes=1,
        part_bytes=8 * 1024 * 1024,
        part_sha256=["ab" * 32],
        **released(),
    )
    event = Event(id="a" * 26, device=DEVICE, seq=1, time_ms=1, is_clock_trusted=True, body=ready)
    plain = msgspec.to_builtins(event)
    assert msgspec.convert(plain, Event) == event
    del plain["body"][field]
    with pytest.raises(msgspec.ValidationError, match=f"required field `{field}`"):
        msgspec.convert(plain, Event)


def test_the_record_that_is_committed_to_has_one_digest() -> None:
    """The formats are published: another implementation must come to the same bytes."""
    record = ReleaseRecord(
        device="abcdefghijklmnop2345", grant="aa" * 32, delivery="bb" * 32, salt="A" * 43
    )
    assert record.encode() == (
        b'{"delivery":"' + b"bb" * 32 + b'","device":"abcdefghijklmnop2345",'
        b'"domain":"doorward/release/v2","grant":"' + b"aa" * 32 + b'",'
        b'"salt":"' + b"A" * 43 + b'","v":2}'
    )
