"""Copies at home without a doorbell: keys, the sealed file, the ledger, limits and the check."""

import contextlib
import errno
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from firmware.companion.viewer.mirror.copies import LOCK_NAME, SETTINGS_NAME, Copies, Limits
from firmware.companion.viewer.mirror.copy_check import CopyCheck
from firmware.companion.viewer.mirror.errors import CopyFolderError, CopyRefused, FolderFull
from firmware.companion.viewer.mirror.ledger import LEDGER_NAME, Copied, Ledger
from firmware.companion.viewer.mirror.opened_files import open_into
from firmware.companion.viewer.mirror.owner_key import (
    make_owner_key,
    parse_public_text,
    public_of,
    public_text,
    read_owner_key,
)
from firmware.companion.viewer.mirror.sealed_copy import (
    FileSource,
    copy_bytes,
    open_copy,
    read_copy,
)
from firmware.enrolment.keys import DeviceKeys, load_or_make_keys
from firmware.protocol.encoding import WireError, new_id
from firmware.protocol.media.byte_source import MemorySource
from tests.fakes.mirror_home import OwnersKey
from tests.fakes.signed_clip import SignedClip, SignedShelf

NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000


@dataclass
class Cellar:
    """A folder of copies, and clips that one doorbell signed."""

    folder: Path
    keys: DeviceKeys
    owner: OwnersKey = field(default_factory=OwnersKey)
    now_ms: int = NOW_MS

    def clip(self, *, days_ago: float = 0, padding_bytes: int = 0) -> SignedClip:
        shelf = SignedShelf(padding_bytes=padding_bytes)
        started_ms = self.now_ms - round(days_ago * DAY_MS)
        return shelf.record(self.keys, seconds=1.0, started_ms=started_ms, clip_id=new_id())

    @contextlib.contextmanager
    def open(self, *, to: OwnersKey | None = None) -> Iterator[Copies]:
        copies = Copies(
            self.folder,
            identity_spki=self.keys.signer.spki,
            recipient=(to or self.owner).public,
            now_ms=self.now_ms,
        )
        try:
            yield copies
        finally:
            copies.close()

    def store(self, copies: Copies, clip: SignedClip) -> Copied:
        return copies.store(clip.file.mp4, clip.file.manifest, clip.manifest, now_ms=self.now_ms)

    def keep(self, clip: SignedClip) -> Path:
        with self.open() as copies:
            return self.folder / self.store(copies, clip).file

    def faults(self, *, private: bytes | None = None) -> list[str]:
        return [one.text for one in CopyCheck(self.folder, private_key=private).faults()]


@pytest.fixture
def cellar(tmp_path: Path) -> Cellar:
    return Cellar(tmp_path / "mirror", load_or_make_keys(tmp_path / "keys"))


def test_a_key_is_made_once_and_its_text_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "copies.key"
    public = make_owner_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert public_of(read_owner_key(path)) == public
    assert parse_public_text(f" {public_text(public)}\n") == public
    with pytest.raises(CopyFolderError, match="there already"):
        make_owner_key(path)
    path.chmod(0o640)
    with pytest.raises(CopyFolderError, match="chmod 600"):
        read_owner_key(path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-1],
        lambda text: text.replace("doorward-copies:", "doorward-player:"),
        lambda text: text[:20] + ("A" if text[20] != "A" else "B") + text[21:],
        lambda text: text[:16],
    ],
)
def test_a_slip_in_the_public_text_is_noticed(spoil: Callable[[str], str]) -> None:
    with pytest.raises(WireError):
        parse_public_text(spoil(public_text(OwnersKey().public)))


def test_only_the_owners_key_opens_a_copy(cellar: Cellar) -> None:
    clip, other = cellar.clip(), OwnersKey()
    copy = read_copy(FileSource(cellar.keep(clip)))
    assert open_copy(copy, cellar.owner.private, cellar.owner.public) == clip.file.mp4
    with pytest.raises(CopyRefused, match="another owner's key"):
        open_copy(copy, other.private, other.public)
    with pytest.raises(CopyRefused, match="another key, or altered"):
        open_copy(copy, other.private, cellar.owner.public)


def test_a_changed_bit_anywhere_is_found(cellar: Cellar) -> None:
    data = cellar.keep(cellar.clip()).read_bytes()
    dice = random.Random(7)
    for at in [*range(40), *(dice.randrange(len(data)) for _ in range(200)), len(data) - 1]:
        changed = bytearray(data)
        changed[at] ^= 1 << dice.randrange(8)
        with pytest.raises(CopyRefused):
            open_copy(
                read_copy(MemorySource(bytes(changed))), cellar.owner.private, cellar.owner.public
            )
    for size in (0, 5, 12, 500, len(data) - 16, len(data) - 1):
        with pytest.raises(CopyRefused):
            open_copy(
                read_copy(MemorySource(data[:size])), cellar.owner.private, cellar.owner.public
            )


def test_a_copy_that_was_made_huge_is_refused_before_it_is_read(cellar: Cellar) -> None:
    path = cellar.keep(cellar.clip())
    with path.open("r+b") as file:
        file.truncate(100 * 10**9)  # sparse
    copy = read_copy(FileSource(path))
    with pytest.raises(CopyRefused):
        open_copy(copy, cellar.owner.private, cellar.owner.public)


def test_another_doorbells_signature_is_no_copy_of_this_one(cellar: Cellar, tmp_path: Path) -> None:
    theirs = Cellar(tmp_path / "theirs", load_or_make_keys(tmp_path / "other"), cellar.owner)
    path = theirs.keep(theirs.clip())
    cellar.keep(cellar.clip())
    (cellar.folder / path.name).write_bytes(path.read_bytes())
    with cellar.open() as copies:
        assert copies.count == 1
    assert "the ledger doesn't name it" in cellar.faults()[0]
    with pytest.raises(CopyFolderError, match="another doorbell"):
        Copies(
            theirs.folder,
            identity_spki=cellar.keys.signer.spki,
            recipient=None,
            now_ms=NOW_MS,
        )
    with pytest.raises(CopyFolderError, match="another doorbell"):
        CopyCheck(theirs.folder, identity_spki=cellar.keys.signer.spki)


def test_a_tampered_removed_or_strange_copy_is_named_by_the_check(cellar: Cellar) -> None:
    good, bent, gone, swapped = (cellar.keep(cellar.clip(days_ago=n)) for n in range(4))
    assert cellar.faults(private=cellar.owner.private) == []
    data = bytearray(bent.read_bytes())
    data[-1] ^= 1
    bent.write_bytes(data)
    gone.unlink()
    swapped.write_bytes(good.read_bytes())
    (cellar.folder / f"2026-01-01T000000Z-{'a' * 26}.dwcopy").write_bytes(b"junk")
    found = cellar.faults()
    assert len(found) == 4
    assert f"{bent.name}: it isn't what was stored" in found
    assert any(text.startswith(f"{gone.name}: ") for text in found)
    assert f"{swapped.name}: it isn't what was stored" in found


def test_a_ledger_that_was_bent_with_its_copy_doesnt_pass_the_owners_key(cellar: Cellar) -> None:
    """Who writes to the machine can store what they like; only the key tells."""
    path = cellar.keep(cellar.clip())
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    ledger = cellar.folder / LEDGER_NAME
    (entry,) = Ledger(cellar.folder, is_writable=False).copied.values()
    ledger.write_text(ledger.read_text().replace(entry.sha256, FileSource(path).sha256_hex()))
    assert cellar.faults() == []
    assert "altered or cut off" in cellar.faults(private=cellar.owner.private)[0]


def test_half_a_line_of_the_ledger_is_cut_off_and_its_copy_is_entered_again(
    cellar: Cellar,
) -> None:
    for days_ago in range(3):
        cellar.keep(cellar.clip(days_ago=days_ago))
    ledger = cellar.folder / LEDGER_NAME
    whole = ledger.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for size in range(last, len(whole)):
        ledger.write_bytes(whole[:size])
        with cellar.open() as copies:
            assert (copies.count, copies.put_right) == (3, 1)
        assert cellar.faults() == []


def test_a_damaged_ledger_is_an_error_and_can_be_written_anew(cellar: Cellar) -> None:
    for days_ago in range(3):
        cellar.keep(cellar.clip(days_ago=days_ago))
    ledger = cellar.folder / LEDGER_NAME
    ledger.write_bytes(b"x" + ledger.read_bytes())
    with pytest.raises(CopyFolderError, match="line 1"), cellar.open():
        pass
    ledger.rename(cellar.folder / "ledger.old")
    with cellar.open() as copies:
        assert copies.count == 3
    assert cellar.faults(private=cellar.owner.private) == []


def test_too_old_copies_go(cellar: Cellar) -> None:
    with cellar.open() as copies:
        clips = [cellar.clip(days_ago=n) for n in (0, 1, 5)]
        entries = [cellar.store(copies, clip) for clip in clips]
        gone = copies.remove_old(Limits(keep_days=3), now_ms=NOW_MS)
        assert [one.clip_id for one in gone] == [entries[2].clip_id]
        assert copies.has(entries[2].clip_id, entries[2].manifest_digest)
    names = {path.name for path in cellar.folder.iterdir()}
    assert names == {entries[0].file, entries[1].file, LEDGER_NAME, SETTINGS_NAME, LOCK_NAME}
    assert cellar.faults() == []


def test_room_is_made_of_the_oldest_and_never_of_newer_ones(cellar: Cellar) -> None:
    with cellar.open() as copies:
        clips = [cellar.clip(days_ago=n, padding_bytes=10_000) for n in (3, 2, 1)]
        entries = [cellar.store(copies, clip) for clip in clips]
        limits = Limits(max_bytes=copies.total_bytes)
        need = entries[0].size_bytes

        def room(started_ms: int, size_bytes: int) -> list[str] | None:
            gone = copies.make_room(
                limits, size_bytes=size_bytes, started_ms=started_ms, now_ms=NOW_MS
            )
            return None if gone is None else [one.clip_id for one in gone]

        assert room(NOW_MS - 4 * DAY_MS, need) is None
        assert room(NOW_MS, limits.max_bytes + 1 if limits.max_bytes else 0) is None
        assert copies.count == 3
        assert room(NOW_MS, need) == [entries[0].clip_id]
        assert copies.count == 2


@pytest.mark.parametrize("seconds", [1.0, 9.0])
def test_the_size_that_is_reckoned_with_is_enough(cellar: Cellar, seconds: float) -> None:
    shelf = SignedShelf(padding_bytes=200_000)
    clip = shelf.record(cellar.keys, seconds=seconds, started_ms=NOW_MS, clip_id=new_id())
    size = cellar.keep(clip).stat().st_size
    assert size <= copy_bytes(len(clip.file.mp4), clip.file.manifest) <= size + 4096


def test_two_mirrors_dont_share_a_folder(cellar: Cellar) -> None:
    with (
        cellar.open(),
        pytest.raises(CopyFolderError, match="another `doorward-view mirror`"),
        cellar.open(),
    ):
        pass


def test_a_folder_that_others_may_read_is_refused(cellar: Cellar) -> None:
    cellar.folder.mkdir(mode=0o755)
    cellar.folder.chmod(0o755)
    with pytest.raises(CopyFolderError, match="chmod 700"), cellar.open():
        pass


def test_a_new_owners_key_counts_for_what_comes(cellar: Cellar) -> None:
    first = cellar.keep(cellar.clip())
    other = OwnersKey()
    with cellar.open(to=other) as copies:
        second = cellar.folder / cellar.store(copies, cellar.clip()).file
    for path, key in ((first, cellar.owner), (second, other)):
        open_copy(read_copy(FileSource(path)), key.private, key.public)


def test_a_full_disk_leaves_nothing_of_a_copy(cellar: Cellar, monkeypatch) -> None:
    """The sync is where a full disk may show only."""
    with cellar.open() as copies:
        cellar.store(copies, cellar.clip())
        honest, left = os.fsync, [0]

        def full(descriptor: int) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            honest(descriptor)

        monkeypatch.setattr(os, "fsync", full)
        for step in (1, 3):  # the copy's file, and the ledger
            left[0] = step
            with pytest.raises(FolderFull, match="--max-size"):
                cellar.store(copies, cellar.clip())
            assert len(list(cellar.folder.glob("*.dwcopy*"))) == 1
        cellar.store(copies, cellar.clip())
    monkeypatch.undo()
    assert cellar.faults(private=cellar.owner.private) == []


def test_a_disk_that_is_full_to_the_last_byte_still_gets_room(cellar: Cellar, monkeypatch) -> None:
    with cellar.open() as copies:
        old, new = (cellar.store(copies, cellar.clip(days_ago=n)) for n in (9, 1))
        honest = os.pwrite

        def full(descriptor: int, data: bytes, at: int) -> int:
            if (cellar.folder / old.file).exists():
                raise OSError(errno.ENOSPC, "No space left on device")
            return honest(descriptor, data, at)

        monkeypatch.setattr(os, "pwrite", full)
        gone = copies.remove_old(Limits(keep_days=3), now_ms=NOW_MS)
        assert [one.clip_id for one in gone] == [old.clip_id]
    assert [one.name for one in cellar.folder.glob("*.dwcopy")] == [new.file]


def test_an_opened_copy_lies_in_a_new_folder_that_only_its_owner_reads(
    cellar: Cellar, tmp_path: Path
) -> None:
    path, out = cellar.keep(cellar.clip()), tmp_path / "opened"
    open_into(path, cellar.owner.private, out)
    assert out.stat().st_mode & 0o777 == 0o700
    assert {one.stat().st_mode & 0o777 for one in out.iterdir()} == {0o600}
    with pytest.raises(CopyFolderError, match="there already"):
        open_into(path, cellar.owner.private, out)
    with pytest.raises(CopyRefused):
        open_into(path, OwnersKey().private, tmp_path / "other")
    assert not (tmp_path / "other").exists()
