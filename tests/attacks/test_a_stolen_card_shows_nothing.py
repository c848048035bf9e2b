"""Who steals the card finds no picture on it, and without the storage key can open none.

A real recorder records a clip, its thumbnail and the beginning of another; then every byte of
every file is searched, SQLite's log too. With the storage key in a file the thief has that key,
which is on the card, and still no file shows a picture until it is opened with it.

What is searched for must not be met by chance in sealed bytes, which are random. Three bytes
such as a start code are: once in 16 MB. So needles are real pieces of this very film (16 bytes,
2^-128 a place) and marks of at least five fixed bytes (one in 2^36 places or rarer; the card
here has 2^20).
"""

import asyncio
import base64
import re
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from firmware.capture.camera_output import AccessUnit, pts_90k_of
from firmware.capture.unit_hub import UnitHub
from firmware.clips.clip_cutter import ClipCutter
from firmware.clips.clip_span import clip_span_of
from firmware.clips.deletions import DeletionSigner
from firmware.clips.library import Library
from firmware.clips.playback import Playback
from firmware.clips.record import ClipRecord
from firmware.clips.recorder import Recorder
from firmware.clips.retention import Retention
from firmware.clips.ring import Ring
from firmware.clips.thumbnail import Thumbnails
from firmware.clips.writer import ClipWriter
from firmware.config.settings import StorageConfig
from firmware.enrolment.keys import load_or_make_keys
from firmware.errors import VaultError
from firmware.evidence.manifest import ManifestSigner
from firmware.protocol.encoding import new_id, unb64u
from firmware.protocol.media.rotation import Rotation
from firmware.store.database import Database
from firmware.vault import storage_key
from firmware.vault.key_choice import recovery_keys_of
from firmware.vault.pi_key import PiStorageKey
from firmware.vault.recovery_words import (
    RecoveryKey,
    make_recovery_key,
    parse_recovery_secret,
)
from firmware.vault.sealed_file import Vault, open_with_recovery_key, read_header
from firmware.vault.storage_key import FileStorageKey, StorageKey
from tests.fakes import rpi_fw_crypto
from tests.fakes.clock import ManualClock
from tests.fakes.footage import HEIGHT, WIDTH, TinyCamera
from tests.fakes.ownership import Owned
from tests.fakes.soft_token import make_soft_token
from tests.fakes.waiting import PATIENCE_S, eventually

WINDOW_BYTES = 16
MARKS = {
    "a start code and parameter set": rb"\x00\x00\x01[\x27\x47\x67][\x42\x4d\x58\x64]",
    "an MP4 file's head": rb"\x00\x00\x00[\x08-\x40]ftyp[a-z0-9 ]{4}",
    "an MP4 fragment": rb"moof\x00\x00\x00.mfhd",
    "an MP4 index": rb"moov\x00\x00\x00.mvhd",
    "a JPEG picture": rb"\xff\xd8\xff[\xdb\xe0\xe1\xfe]\x00",
    "an encoder's own words": rb"x264 - core",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """The doorbell's data folder as the thief has it, and what the test knows besides."""

    folder: Path
    vault: Vault
    key: StorageKey
    filmed: list[AccessUnit]
    film_mp4: bytes
    picture: bytes
    recovery: RecoveryKey
    key_file: Path | None

    @property
    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())

    @property
    def sealed_files(self) -> list[Path]:
        return [path for path in self.files if path.suffix in (".clip", ".thumb")]


class Doorbell:
    """A recorder over a data folder with its keys, library and vault, as at the door."""

    size = (WIDTH, HEIGHT)
    rotation: Rotation = 0

    def __init__(self, folder: Path, key: StorageKey, recovery: RecoveryKey) -> None:
        keys = load_or_make_keys(folder)
        self.clock = ManualClock()
        recovery_keys = recovery_keys_of(StorageConfig(recovery_key=recovery.public_text))
        self.vault = Vault(key, recovery_keys=recovery_keys)
        self.database = Database(folder / "library.sqlite3")
        deletions = DeletionSigner(keys.signer, keys.device, self.clock)
        self.library = Library(self.database, folder / "clips", deletions=deletions)
        self.playback = Playback(self.library, self.vault)
        self.ring = Ring(pre_roll_s=3, max_bytes=10**7)
        self.hub = UnitHub(self.ring, asyncio.get_running_loop())
        self.camera = TinyCamera(pts_90k_of(self.clock.monotonic_ns()))
        self.filmed: list[AccessUnit] = []
        self.clips: asyncio.Queue[ClipRecord] = asyncio.Queue()
        boot_id = new_id()
        writer = ClipWriter(
            library=self.library,
            vault=self.vault,
            retention=Retention(
                self.library,
                self.clock,
                boot_id=boot_id,
                keep_days=30,
                keep_bytes=10**9,
                min_free_bytes=0,
            ),
            signer=ManifestSigner(keys.signer, keys.device),
        )
        cutter = ClipCutter(
            camera=self,
            writer=writer,
            library=self.library,
            clock=self.clock,
            boot_id=boot_id,
            reach=clip_span_of(pre_roll_s=3, post_roll_s=2, longest_s=60),
        )
        self.recorder = Recorder(
            cutter=cutter,
            writer=writer,
            library=self.library,
            owners=Owned(),
            thumbnails=Thumbnails(self.library, self.vault),
        )
        self.recorder.clips.add(self.clips.put_nowait)

    async def film(self, seconds: float) -> None:
        units = self.camera.film(seconds)
        self.filmed += units
        thread = threading.Thread(target=lambda: [self.hub.put(unit) for unit in units])
        thread.start()
        thread.join()
        self.clock.advance(seconds)
        await asyncio.sleep(0.02)

    def press(self) -> None:
        self.recorder.trigger(new_id(), "pressed", pts_90k_of(self.clock.monotonic_ns()))


@asynccontextmanager
async def stolen_card(folder: Path, key: StorageKey, key_file: Path | None) -> AsyncIterator[Card]:
    """Record one clip and half of another; the power goes, nothing is closed or tidied up."""
    recovery = make_recovery_key()
    doorbell = Doorbell(folder, key, recovery)
    task = asyncio.create_task(doorbell.recorder.run())
    try:
        async with asyncio.timeout(PATIENCE_S):
            await doorbell.film(4)
            doorbell.press()
            await doorbell.film(4)
            record = await doorbell.clips.get()
            await eventually(lambda: doorbell.playback.picture(record) is not None)
            doorbell.press()
            await doorbell.film(1.5)
            await eventually(lambda: len(list(folder.glob("clips/*.clip"))) == 2)
        yield Card(
            folder=folder,
            vault=doorbell.vault,
            key=key,
            filmed=doorbell.filmed,
            film_mp4=doorbell.playback.plain_mp4(record),
            picture=doorbell.playback.picture(record) or b"",
            recovery=recovery,
            key_file=key_file,
        )
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        doorbell.database.close()


@pytest.fixture(params=["file", "pi", "token"])
async def card(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Card]:
    folder = tmp_path / "card"
    folder.mkdir()
    key_file = folder / "storage.key" if request.param == "file" else None
    async with stolen_card(
        folder, storage_key_for(request.param, tmp_path, monkeypatch), key_file
    ) as made:
        yield made


def storage_key_for(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> StorageKey:
    if kind == "file":
        return FileStorageKey(folder / "card" / "storage.key")
    if kind == "pi":
        return board_key(folder / "board", bytes(range(7, 39)))
    token = make_soft_token(folder / "token", monkeypatch)
    import pkcs11

    from firmware.vault.token_key import TokenStorageKey

    pkcs11.lib(str(token.module)).reinitialize()  # SoftHSM reads its settings then
    return TokenStorageKey(module=token.module, token_label=token.label, pin_file=token.pin_file)


def board_key(folder: Path, secret: bytes) -> PiStorageKey:
    folder.mkdir(exist_ok=True)
    (folder / "otp").write_text(secret.hex())
    return PiStorageKey((sys.executable, rpi_fw_crypto.__file__, str(folder / "otp")))


def windows_of(data: bytes) -> Iterator[bytes]:
    """Yield pieces that cover `data`, but for dull ones that other files hold too."""
    for begin in range(0, len(data) - WINDOW_BYTES, WINDOW_BYTES):
        window = data[begin : begin + WINDOW_BYTES]
        if len(set(window)) > WINDOW_BYTES // 2:
            yield window


def found_in(data: bytes, pieces: frozenset[bytes]) -> list[str]:
    """Return what of the film `data` shows."""
    marks = [what for what, mark in MARKS.items() if re.search(mark, data, re.S)]
    places = range(len(data) - WINDOW_BYTES + 1)
    if any(data[place : place + WINDOW_BYTES] in pieces for place in places):
        marks.append("a piece of the film")
    return marks


def pieces_of(card: Card) -> frozenset[bytes]:
    film = [window for unit in card.filmed for window in windows_of(unit.data)]
    return frozenset([*film, *windows_of(card.picture)])


async def test_no_file_of_the_card_shows_a_picture(card: Card) -> None:
    pieces = pieces_of(card)
    assert len(pieces) > 1000
    assert {path.suffix for path in card.files} >= {".clip", ".thumb", ".sqlite3", ".sqlite3-wal"}
    assert sum(path.stat().st_size for path in card.sealed_files) > 40_000
    for path in card.files:
        assert found_in(path.read_bytes(), pieces) == [], path.name


async def test_the_same_search_finds_the_film_wherever_it_lies_open(card: Card) -> None:
    pieces = pieces_of(card)
    annex_b = b"".join(unit.data for unit in card.filmed)
    assert set(found_in(card.film_mp4, pieces)) >= {"an MP4 file's head", "a piece of the film"}
    assert set(found_in(annex_b, pieces)) >= {
        "a start code and parameter set",
        "a piece of the film",
    }
    assert set(found_in(card.picture, pieces)) == {"a JPEG picture", "a piece of the film"}
    hidden = bytes(1003) + annex_b[5000:5040] + bytes(500)
    assert found_in(hidden, pieces) == ["a piece of the film"]


async def test_no_file_of_the_card_holds_a_key_to_its_clips(card: Card) -> None:
    secrets = [data_key_of(card, path) for path in card.sealed_files]
    secrets.append(parse_recovery_secret(" ".join(card.recovery.words)))
    secrets.append(" ".join(card.recovery.words).encode())
    assert len(secrets) >= 5
    if card.key_file is not None:
        secrets.append(card.key_file.read_bytes())
    for path in card.files:
        data = path.read_bytes()
        holds = [secret for secret in secrets for text in spellings(secret) if text in data]
        assert len(holds) == (path == card.key_file), path.name


def data_key_of(card: Card, path: Path) -> bytes:
    header, _ = read_header(path)
    return storage_key.unwrap(card.key, unb64u(header.wrapped_key), header.context)


def spellings(secret: bytes) -> Iterator[bytes]:
    yield secret
    yield secret.hex().encode()
    yield base64.b64encode(secret).rstrip(b"=")
    yield base64.urlsafe_b64encode(secret).rstrip(b"=")


async def test_the_card_in_another_board_opens_nothing(card: Card, tmp_path: Path) -> None:
    board = board_key(tmp_path / "thief", bytes(range(9, 41)))
    thiefs: list[StorageKey] = [board, FileStorageKey(tmp_path / "thief.key")]
    thief_recovery = parse_recovery_secret(" ".join(make_recovery_key().words))
    for path in card.sealed_files:
        for key in thiefs:
            with pytest.raises(VaultError):
                Vault(key).open(path)
            header, _ = read_header(path)
            with pytest.raises(VaultError):  # also where the name of the key isn't compared
                storage_key.unwrap(key, unb64u(header.wrapped_key), header.context)
        with pytest.raises(VaultError):
            open_with_recovery_key(path, thief_recovery)


async def test_its_owner_opens_everything_with_the_words(card: Card) -> None:
    secret = parse_recovery_secret(" ".join(card.recovery.words))
    assert len(card.sealed_files) >= 3
    for path in card.sealed_files:
        with_words = [record.plain for record in open_with_recovery_key(path, secret).records()]
        assert with_words == [record.plain for record in card.vault.open(path).records()]
        assert with_words


async def test_a_key_in_a_file_is_said_to_protect_nothing(card: Card) -> None:
    assert card.vault.is_key_off_card == (card.key_file is None)
    if card.key_file is not None:
        thief = Vault(FileStorageKey(card.key_file))
        assert all(list(thief.open(path).records()) for path in card.sealed_files)
