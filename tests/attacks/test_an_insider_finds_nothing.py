"""Who has all of the relay after a whole story finds no picture, no key, no note and no decision.

The insider has the database, the bucket, both public logs, the broker's store and every log file.
The story is the whole one, and then the owner grants with name and address, declines, and holds.
The same search finds each needle where it belongs: at the doorbell, the agency or the owner.
"""

import base64
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.protocol.encoding import unb64u
from tests.attacks.aftermath import (
    ADDRESS,
    CONTACT,
    FILE_MARKS,
    NAME,
    Loot,
    pieces_of,
    spellings,
)
from tests.story.play import DOOR_NUMBER

pytestmark = [pytest.mark.services, pytest.mark.slow]

PLACES = ("relay", "store", "logs")
"""Whatever the operator has."""


def texts(*texts: str) -> list[bytes]:
    """Return texts in all spellings; each is long enough not to be met by chance."""
    return [
        spelled for text in texts for spelled in (text.encode(), *spellings(text.encode()[:24]))
    ]


SECRET_FIELDS = {
    "private_key",
    "session_key",
    "viewing_key",
    "sealing_private_key",
    "signing_key_pem",
}


def secrets_in(value: object) -> Iterator[str]:
    """Yield the private keys in a file that somebody keeps."""
    if isinstance(value, dict):
        for name, one in value.items():
            if isinstance(one, str) and name in SECRET_FIELDS:
                yield one
            else:
                yield from secrets_in(one)


def of_key(kept: str) -> list[bytes]:
    """Return what a private key would be found by: its PEM's last line, or its bytes."""
    if kept.startswith("-----"):
        return [kept.strip().splitlines()[-2].encode()]
    return list(spellings(unb64u(kept)[:24]))


def keys_of(*files: Path) -> list[bytes]:
    kept = [secret for file in files for secret in secrets_in(json.loads(file.read_text()))]
    assert kept, files
    return [needle for one in kept for needle in of_key(one)]


# --- what is looked for ---


@pytest.mark.parametrize("before", [b"", b"x", b"xy"])
def test_the_search_finds_what_lies_there_in_any_spelling(tmp_path: Path, before: bytes) -> None:
    """Of text and of keys, wherever in a longer text they begin."""
    loot, secret = Loot(tmp_path, b""), random.Random(3).randbytes(32)
    (tmp_path / "planted").mkdir()
    for kept, needles in ((NAME.encode(), texts(NAME)), (secret, list(spellings(secret[:24])))):
        for spelled in (kept, kept.hex().encode(), base64.b64encode(before + kept + before)):
            (tmp_path / "planted" / "file").write_bytes(b"..." + spelled + b"...")
            assert loot.found(needles, "planted")


def test_no_picture_and_no_video(loot: Loot) -> None:
    pieces = random.Random(7).sample(pieces_of(loot.folder / "doorbell"), 400)
    assert loot.found(pieces, "agency"), "the search finds nothing where there is much"
    assert loot.found([*pieces, *FILE_MARKS], *PLACES) == []


def test_no_private_key_of_an_owner_an_officer_or_the_agency(loot: Loot) -> None:
    people = loot.folder / "people"
    needles = keys_of(
        people / "owner.json",
        people / "officer.json",
        people / "cosigner.json",
        *(loot.folder / "agency").glob("*key*.json"),
        *(loot.folder / "admins").glob("*.key.json"),
    )
    assert loot.found(needles, "people", "agency", "admins")
    assert loot.found(needles, *PLACES, "doorbell", "witnesses") == []


def test_no_private_key_of_the_doorbell(loot: Loot) -> None:
    card = loot.folder / "doorbell"
    needles = [
        *(of_key((card / name).read_text())[0] for name in ("identity.key", "sealing.key")),
        *spellings((card / "storage.key").read_bytes()[:24]),
    ]
    assert loot.found(needles, "doorbell")
    assert loot.found(needles, *PLACES, "people", "agency") == []


def test_the_logs_keys_lie_in_their_own_files_alone(loot: Loot) -> None:
    keys = sorted((loot.folder / "relay").rglob("*.key"))
    signing = [file for file in keys if b"PRIVATE+KEY+" in file.read_bytes()]
    assert len(signing) == 2
    needles = [file.read_bytes().strip().split(b"+", 4)[4] for file in signing]  # "+" is base64
    assert len(loot.found(needles, "relay")) == 2
    assert loot.found(needles, "store", "logs", "doorbell", "people", "agency", "witnesses") == []


def test_neither_the_owners_name_nor_address_nor_contact(loot: Loot) -> None:
    needles = texts(NAME, ADDRESS, CONTACT)
    assert loot.found(needles, "doorbell"), "the doorbell kept what it was told to give"
    assert loot.found(needles, *PLACES) == []


def test_no_door_number(loot: Loot) -> None:
    quoted = [f"{a}{DOOR_NUMBER}{b}".encode() for a, b in (('"', '"'), ("=", "&"), ("=", "\n"))]
    assert loot.found([*quoted, b"door_number"], *PLACES) == []


def test_no_note_lies_open(loot: Loot) -> None:
    kinds = (
        "requests_matched",
        "confirmation_wanted",
        "statement_done",
        "statement_refused",
        "released",
        "settings_now",
        "holds_now",
        "nothing",
    )
    needles = [f'"type":"{kind}"'.encode() for kind in kinds]
    assert loot.found(needles, *PLACES) == []


def test_nobody_can_tell_what_the_owner_decided(loot: Loot) -> None:
    """Neither a statement's text, nor its digest, nor its kind."""
    assert len(loot.digests) == 4
    kinds = [f'"kind":"{kind}"'.encode() for kind in ("grant", "decline", "hold", "refuse_agency")]
    digests = [
        needle
        for digest in loot.digests
        for needle in (digest.encode(), bytes.fromhex(digest), *spellings(bytes.fromhex(digest)))
    ]
    assert loot.found(digests, "doorbell"), "the doorbell knows what was decided"
    assert loot.found([*kinds, *digests, b"doorward/statement/v1"], *PLACES) == []


def test_the_public_logs_say_neither_which_doorbell_nor_which_clip(loot: Loot) -> None:
    owner = json.loads((loot.folder / "people" / "owner.json").read_text())
    device = owner["doorbell"]["device"]
    clips = [path.stem for path in (loot.folder / "doorbell" / "clips").glob("*.clip")]
    assert clips
    needles = [device.encode(), owner["doorbell"]["identity_key"].encode(), *map(str.encode, clips)]
    assert b'"type":"request"' in loot.public
    assert b'"type":"release"' in loot.public
    assert b'"type":"download"' in loot.public
    assert loot.found(needles) == []
