"""Who has all of the relay after a whole story finds no picture, no key, no note and no decision.

The insider has the database, the bucket, both public logs, the broker's store and every log file.
The story is the whole one, and then the owner grants with name and address, declines, and holds.
The same search finds each needle where it belongs: at the doorbell, the agency or the owner.
"""

import base64
import json
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from firmware.protocol.decisions import Decline, Hold, IdentityGiven, RefuseAgency
from firmware.protocol.encoding import sha256_hex, unb64u
from firmware.protocol.grants import ClipRange, GrantTerms, Recipient
from firmware.protocol.notes import ConfirmationWanted, HoldsNow, SettingsNow, StatementDone
from firmware.protocol.tlog.checkpoint import parse_checkpoint
from firmware.protocol.tlog.signed_note import parse_note
from firmware.protocol.tlog.tiles import bundles_grown
from tests.attacks.test_no_readable_picture_at_the_relay import (
    FILE_MARKS,
    found_in,
    marked_video,
    pieces_of,
    spellings,
)
from tests.faults.town import Town, running_town
from tests.story.api import Json
from tests.story.owner import API
from tests.story.play import DOOR_NUMBER
from tests.story.town import AGENCY_ID

pytestmark = [
    pytest.mark.services,
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
]

NAME = "Maria Canary-Insider of the Yellow House"
ADDRESS = "17 Canary Lane, Lakeland, behind the church"
CONTACT = "maria.canary.insider@home.example"
PLACES = ("relay", "store", "logs")
"""Whatever the operator has."""


@dataclass
class Loot:
    """What there is to be searched, and what for."""

    folder: Path
    public: bytes
    """Every entry of both public logs, as anybody reads them."""
    digests: list[str] = field(default_factory=list)
    """Of what the owner decided, and the relay carried."""

    def found(self, needles: list[bytes], *places: str) -> list[str]:
        """Return each file that holds a needle, and "public" if the logs do."""
        found = [hit for place in places for hit in found_in(self.folder / place, needles)]
        return found + [f"public: {one!r}" for one in needles if one in self.public]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def loot(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Loot]:
    folder = tmp_path_factory.mktemp("insider")
    marked_video(folder / "canary.mp4")
    data_dir = folder / "town"
    data_dir.mkdir()
    async with running_town(data_dir, video=folder / "canary.mp4") as town:
        await town.play.tell()
        digests = await decide(town)
        public = await read_logs(f"{town.settings.relay_url}/log")
    yield Loot(data_dir, public, digests)


async def decide(town: Town) -> list[str]:
    """Let the owner grant with name and address, decline, hold and refuse; return the digests."""
    owner = town.people.owner
    request = (await owner.api.get(f"{API}/requests"))["requests"][0]
    clip = next(
        event["body"] for event in await owner.all_events() if event["body"]["type"] == "clip_ready"
    )
    async with owner.inbox.following(owner.api, f"{API}/stream"):
        granted = await owner.decide(grant_of(request, clip))
        await owner.wait_for_note(ConfirmationWanted, granted, timeout_s=15)
        second = Hold(from_ms=clip["started_ms"], to_ms=clip["started_ms"] + 1000)
        quiet = []
        for terms, told in (
            (second, HoldsNow),
            (Decline(request_digest=digest_of(request)), StatementDone),
            (RefuseAgency(agency=AGENCY_ID, is_refused=True), SettingsNow),
        ):
            quiet.append(await owner.decide(terms))
            await owner.wait_for_note(told, quiet[-1], timeout_s=15)
    return [granted, *quiet]


def digest_of(request: Json) -> str:
    return sha256_hex(request["signed"]["request"].encode())


def grant_of(request: Json, clip: Json) -> GrantTerms:
    agency = request["agency"]
    return GrantTerms(
        request_digest=digest_of(request),
        clips=[
            ClipRange(
                clip_id=clip["clip_id"],
                manifest_digest=clip["manifest_digest"],
                from_ms=clip["started_ms"],
                to_ms=clip["started_ms"] + clip["duration_ms"],
            )
        ],
        has_audio=False,
        recipient=Recipient(agency=agency["id"], sealing_keys=agency["sealing_keys"]),
        identity=IdentityGiven(name=NAME, address=ADDRESS, contact=CONTACT),
    )


async def read_logs(log_url: str) -> bytes:
    """Return every entry of both logs."""
    found = []
    async with httpx2.AsyncClient(trust_env=False) as http:
        for log in ("register", "custody"):
            note = (await http.get(f"{log_url}/{log}/checkpoint")).content
            size = parse_checkpoint(parse_note(note).text).size
            for bundle in bundles_grown(0, size):
                answer = await http.get(f"{log_url}/{log}/{bundle.path}")
                assert answer.is_success
                found += bundle.new_entries(answer.content)
    return b"\n".join(found)


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
async def test_the_search_finds_what_lies_there_in_any_spelling(
    tmp_path: Path, before: bytes
) -> None:
    """Of text and of keys, wherever in a longer text they begin."""
    loot, secret = Loot(tmp_path, b""), random.Random(3).randbytes(32)
    (tmp_path / "planted").mkdir()
    for kept, needles in ((NAME.encode(), texts(NAME)), (secret, list(spellings(secret[:24])))):
        for spelled in (kept, kept.hex().encode(), base64.b64encode(before + kept + before)):
            (tmp_path / "planted" / "file").write_bytes(b"..." + spelled + b"...")
            assert loot.found(needles, "planted")


async def test_no_picture_and_no_video(loot: Loot) -> None:
    pieces = random.Random(7).sample(pieces_of(loot.folder / "doorbell"), 400)
    assert loot.found(pieces, "agency"), "the search finds nothing where there is much"
    assert loot.found([*pieces, *FILE_MARKS], *PLACES) == []


async def test_no_private_key_of_an_owner_an_officer_or_the_agency(loot: Loot) -> None:
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


async def test_no_private_key_of_the_doorbell(loot: Loot) -> None:
    card = loot.folder / "doorbell"
    needles = [
        *(of_key((card / name).read_text())[0] for name in ("identity.key", "sealing.key")),
        *spellings((card / "storage.key").read_bytes()[:24]),
    ]
    assert loot.found(needles, "doorbell")
    assert loot.found(needles, *PLACES, "people", "agency") == []


async def test_the_logs_keys_lie_in_their_own_files_alone(loot: Loot) -> None:
    keys = sorted((loot.folder / "relay").rglob("*.key"))
    signing = [file for file in keys if b"PRIVATE+KEY+" in file.read_bytes()]
    assert len(signing) == 2
    needles = [file.read_bytes().strip().split(b"+", 4)[4] for file in signing]  # "+" is base64
    assert len(loot.found(needles, "relay")) == 2
    assert loot.found(needles, "store", "logs", "doorbell", "people", "agency", "witnesses") == []


async def test_neither_the_owners_name_nor_address_nor_contact(loot: Loot) -> None:
    needles = texts(NAME, ADDRESS, CONTACT)
    assert loot.found(needles, "doorbell"), "the doorbell kept what it was told to give"
    assert loot.found(needles, *PLACES) == []


async def test_no_door_number(loot: Loot) -> None:
    quoted = [f"{a}{DOOR_NUMBER}{b}".encode() for a, b in (('"', '"'), ("=", "&"), ("=", "\n"))]
    assert loot.found([*quoted, b"door_number"], *PLACES) == []


async def test_no_note_lies_open(loot: Loot) -> None:
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


async def test_nobody_can_tell_what_the_owner_decided(loot: Loot) -> None:
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


async def test_the_public_logs_say_neither_which_doorbell_nor_which_clip(loot: Loot) -> None:
    owner = json.loads((loot.folder / "people" / "owner.json").read_text())
    device = owner["doorbell"]["device"]
    clips = [path.stem for path in (loot.folder / "doorbell" / "clips").glob("*.clip")]
    assert clips
    needles = [device.encode(), owner["doorbell"]["identity_key"].encode(), *map(str.encode, clips)]
    assert b'"type":"request"' in loot.public
    assert b'"type":"release"' in loot.public
    assert b'"type":"download"' in loot.public
    assert loot.found(needles) == []
