"""What a whole story leaves behind, and the search of it.

The camera films a video with a marked frame. The story is the whole one, and then the owner grants
with name and address, declines, and holds. All programs have ended; the folder is only read.
"""

import asyncio
import base64
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import httpx2
import numpy as np

from firmware.clips.playback import ClipReader
from firmware.protocol.decisions import Decline, Hold, IdentityGiven, RefuseAgency
from firmware.protocol.encoding import sha256_hex
from firmware.protocol.grants import ClipRange, GrantTerms, Recipient
from firmware.protocol.notes import ConfirmationWanted, HoldsNow, RefusedNow, StatementDone
from firmware.protocol.tlog.checkpoint import parse_checkpoint
from firmware.protocol.tlog.signed_note import parse_note
from firmware.protocol.tlog.tiles import bundles_grown
from firmware.vault.sealed_file import Vault
from firmware.vault.storage_key import FileStorageKey
from tests.fakes.waiting import PATIENCE_S
from tests.faults.town import Town, running_town
from tests.story.api import Json
from tests.story.owner import API
from tests.story.town import AGENCY_ID

NAME = "Maria Canary-Insider of the Yellow House"
ADDRESS = "17 Canary Lane, Lakeland, behind the church"
CONTACT = "maria.canary.insider@home.example"
PIECE_BYTES = 24
WORD = np.dtype("<u8")
FILE_MARKS = (
    b"ftypisom",
    b"ftypiso5",
    b"ftypmp4",
    b"moovmvhd",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff\xe0\x00\x10JFIF",
)


def marked_video(path: Path) -> None:
    """Write two seconds of noise, the same every time: each frame is a canary."""
    rng = np.random.default_rng(20261125)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=15)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        canary = rng.integers(0, 255, (45, 80, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
        for number in range(30):
            frame = av.VideoFrame.from_ndarray(np.roll(canary, number * 8, 1), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def pieces_of(doorbell_dir: Path) -> list[bytes]:
    """Return pieces from the middle of every clip's coded pictures, in all spellings."""
    vault = Vault(FileStorageKey(doorbell_dir / "storage.key"))
    spelled: list[bytes] = []
    for path in (doorbell_dir / "clips").glob("*.clip"):
        for unit in ClipReader(vault.open(path)).units():
            for nal_unit in unit.nal_units:
                if len(nal_unit) > 20 * PIECE_BYTES:
                    middle = len(nal_unit) // 2
                    spelled += spellings(nal_unit[middle : middle + PIECE_BYTES])
    return spelled


def spellings(piece: bytes) -> Iterator[bytes]:
    yield piece
    yield piece.hex().encode()
    for shift in range(3):
        text = base64.b64encode(piece[shift : shift + 18])
        yield text
        yield text.translate(bytes.maketrans(b"+/", b"-_"))


def found_in(folder: Path, needles: list[bytes]) -> list[str]:
    """Return every file below `folder` that holds a needle."""
    search = Search(needles)
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        hit = search.first_in(path.read_bytes())
        if hit is not None:
            found.append(f"{path.relative_to(folder)}: {hit[:40]!r}")
    return found


class Search:
    """Looks for thousands of needles at once, by their first eight bytes as one number."""

    def __init__(self, needles: list[bytes]) -> None:
        self._short = [needle for needle in needles if len(needle) < WORD.itemsize]
        self._by_word: dict[int, list[bytes]] = defaultdict(list)
        for needle in needles:
            if len(needle) >= WORD.itemsize:
                self._by_word[int(np.frombuffer(needle, WORD, 1)[0])].append(needle)
        self._words = np.array(sorted(self._by_word), WORD)

    def first_in(self, data: bytes) -> bytes | None:
        """Return a needle that is in `data`, wherever it begins; None if none is."""
        for needle in self._short:
            if needle in data:
                return needle
        if not self._by_word:
            return None
        for shift in range(min(WORD.itemsize, len(data))):
            words = np.frombuffer(data, WORD, (len(data) - shift) // WORD.itemsize, shift)
            near = np.searchsorted(self._words, words).clip(max=len(self._words) - 1)
            for place in np.flatnonzero(self._words[near] == words):
                at = shift + int(place) * WORD.itemsize
                for needle in self._by_word[int(words[place])]:
                    if data.startswith(needle, at):
                        return needle
        return None


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


def make_loot(folder: Path) -> None:
    """Play the story in an empty folder, and keep what `read_loot` returns."""
    marked_video(folder / "canary.mp4")
    (folder / "town").mkdir()
    public, digests = asyncio.run(_play(folder / "town", folder / "canary.mp4"))
    (folder / "public").write_bytes(public)
    (folder / "digests.json").write_text(json.dumps(digests))


def read_loot(folder: Path) -> Loot:
    """Return what `make_loot` left there."""
    return Loot(
        folder / "town",
        (folder / "public").read_bytes(),
        json.loads((folder / "digests.json").read_text()),
    )


async def _play(data_dir: Path, video: Path) -> tuple[bytes, list[str]]:
    async with running_town(data_dir, video=video) as town:
        await town.play.tell()
        digests = await decide(town)
        public = await read_logs(f"{town.settings.relay_url}/log")
    return public, digests


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
            (RefuseAgency(agency=AGENCY_ID, is_refused=True), RefusedNow),
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
    async with httpx2.AsyncClient(trust_env=False, timeout=PATIENCE_S) as http:
        for log in ("register", "custody"):
            note = (await http.get(f"{log_url}/{log}/checkpoint")).content
            size = parse_checkpoint(parse_note(note).text).size
            for bundle in bundles_grown(0, size):
                answer = await http.get(f"{log_url}/{log}/{bundle.path}")
                assert answer.is_success
                found += bundle.new_entries(answer.content)
    return b"\n".join(found)
