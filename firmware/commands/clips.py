"""`doorward-firmware clips`: list, check, hold, delete and export recordings, also while it runs.

Local export is one of the four exits of footage: a person who can run this as the doorbell's user,
or has the recovery words, is its owner (or has the owner's storage and key). Only the commands that
read or write pictures import the video libraries: `check`, `--repair` and `export`.
"""

import argparse
import getpass
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from firmware.clips.deletions import DeletionSigner
from firmware.clips.folder_lock import is_locked, locked_alone
from firmware.clips.fragment import ClipUnit
from firmware.clips.library import Library
from firmware.clips.record import ClipRecord, ClipStart, manifest_of
from firmware.config.loader import load_config
from firmware.config.settings import Config
from firmware.enrolment.keys import load_or_make_keys
from firmware.errors import ConfigError, DoorwardError, StoreError, VaultError
from firmware.evidence.manifest import ManifestSigner
from firmware.protocol.deletions import Deletion
from firmware.protocol.encoding import decode
from firmware.protocol.footage import ClipManifest, Gaps, SignedManifest
from firmware.protocol.media.tags import tags_of
from firmware.store.database import Database
from firmware.system.clock import SystemClock
from firmware.transparency.simulated_clock import kernel_of
from firmware.vault.key_choice import LateKey, recovery_keys_of
from firmware.vault.recovery_words import parse_recovery_secret
from firmware.vault.sealed_file import SealedFile, Vault, open_with_recovery_key

if TYPE_CHECKING:
    from firmware.clips.check import Fault
    from firmware.clips.playback import ClipReader

DATING_WORDS = {
    "trusted": "",
    "unknown": "clock unknown",
    "dated": "clock corrected",
    "latest": "not later than",
}
PROGRESS_EVERY = 25


def run_clips(options: argparse.Namespace) -> int:
    """Carry out one `clips` command; return the exit code."""
    if options.action == "export" and options.recovery and options.card is not None:
        path = _file_on_card(options.card, options.clip_id)
        return _export(_opened_by_words(path), options.to, options.format)
    if options.config is None:
        raise ConfigError("--config", "", "the doorbell's TOML file")
    shelves = _Shelves(load_config(options.config))
    try:
        if options.action == "list":
            return _list_deleted(shelves, options) if options.deleted else _list(shelves, options)
        if options.action == "check":
            return _check(shelves, is_json=options.json, is_repair=options.repair)
        record = _record_of(shelves.library, options.clip_id)
        if options.action in ("hold", "unhold"):
            return _hold(shelves.library, record, is_held=options.action == "hold")
        if options.action == "delete":
            return _delete(shelves.library, record)
        if options.recovery:
            return _export(_opened_by_words(record.path), options.to, options.format)
        return _export(shelves.vault.open(record.path), options.to, options.format)
    except FileNotFoundError as error:
        raise StoreError(Path(error.filename), "is gone; `clips check` says more") from error
    finally:
        shelves.database.close()


class _Shelves:
    """The library of one doorbell, opened beside it."""

    def __init__(self, config: Config) -> None:
        self._config = config
        path = config.data_dir / "library.sqlite3"
        if not path.exists():
            raise StoreError(path, "isn't there: no doorbell has recorded here")
        self.keys = load_or_make_keys(config.data_dir)
        clock = SystemClock(
            is_host_time_trusted=config.clock.is_host_time_trusted, kernel=kernel_of(config)
        )
        self.manifest_signer = ManifestSigner(self.keys.signer, self.keys.device)
        self.database = Database(path)
        self.library = Library(
            self.database,
            config.data_dir / "clips",
            deletions=DeletionSigner(self.keys.signer, self.keys.device, clock),
        )

    @property
    def is_running(self) -> bool:
        """Return whether a doorbell runs over this library, or is about to."""
        return is_locked(self.library.clips_dir) or is_locked(self._config.data_dir)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep a doorbell from starting over this library for as long as the block runs."""
        with locked_alone(self._config.data_dir):
            yield

    @property
    def vault(self) -> Vault:
        """The vault; its key is looked for when a clip is opened, and never made here."""
        config = self._config
        return Vault(
            LateKey(config.storage, config.data_dir, may_make=False),
            recovery_keys=recovery_keys_of(config.storage),
        )


def _list(shelves: _Shelves, options: argparse.Namespace) -> int:
    records = shelves.library.finished()
    open_ids = [start.clip_id for start in shelves.library.open_starts()]
    if options.json:
        print(json.dumps({"clips": [_as_json(record) for record in records], "open": open_ids}))
        return 0
    for record in records:
        print(_line(record))
    for clip_id in open_ids:
        print(f"{clip_id}  is being recorded, or was when the doorbell died")
    total_mb = sum(record.size_bytes for record in records) / 1e6
    print(f"{len(records)} clips, {total_mb:,.1f} MB")
    return 0


def _line(record: ClipRecord) -> str:
    manifest = _readable(record.signed_manifest)
    words = [
        "held" if record.is_held else "",
        "cut short" if record.is_cut_short else "",
        DATING_WORDS[record.dating],
        "sound" if manifest and manifest.sound_track else "",
        f"{manifest.lost_units} pictures lost" if manifest and manifest.lost_units else "",
        _gap_words(manifest.picture_gaps) if manifest else "",
        "" if manifest else "manifest damaged",
    ]
    triggers = "+".join(trigger.kind for trigger in manifest.triggers) if manifest else "?"
    return (
        f"{record.clip_id}  #{record.counter:<6} {_time(record.started_ms)}"
        f"  {record.duration_ms / 1000:6.1f} s  pre-roll {record.pre_roll_ms / 1000:4.1f} s"
        f"  {record.size_bytes / 1e6:7.2f} MB  {triggers}  "
        + ", ".join(word for word in words if word)
    ).rstrip()


def _gap_words(gaps: Gaps | None) -> str:
    return "" if gaps is None else f"{gaps.count} gaps, up to {gaps.longest_90k / 90_000:.1f} s"


def _gaps_as_json(gaps: Gaps | None) -> dict[str, int] | None:
    return None if gaps is None else {"count": gaps.count, "longest_ms": gaps.longest_90k // 90}


def _as_json(record: ClipRecord) -> dict[str, object]:
    manifest = _readable(record.signed_manifest)
    return {
        "clip_id": record.clip_id,
        "counter": record.counter,
        "started_ms": record.started_ms,
        "told_ms": record.told_ms,
        "dating": record.dating,
        "duration_ms": record.duration_ms,
        "pre_roll_ms": record.pre_roll_ms,
        "size_bytes": record.size_bytes,
        "is_cut_short": record.is_cut_short,
        "is_held": record.is_held,
        "lost_units": manifest.lost_units if manifest else None,
        "gaps": _gaps_as_json(manifest.picture_gaps if manifest else None),
        "has_sound": bool(manifest and manifest.sound_track),
        "manifest_digest": record.manifest_digest,
        "triggers": [
            {"kind": trigger.kind, "at_ms": trigger.at_90k // 90}
            for trigger in (manifest.triggers if manifest else [])
        ],
    }


def _list_deleted(shelves: _Shelves, options: argparse.Namespace) -> int:
    deletions = [
        decode(Deletion, signed.deletion.encode()) for signed in shelves.library.deletions()
    ]
    if options.json:
        print(json.dumps({"deleted": [json.loads(each.encode()) for each in deletions]}))
        return 0
    for each in deletions:
        doubt = "" if each.is_clock_trusted else "  clock unknown"
        print(f"{each.clip_id}  #{each.counter:<6} {_time(each.deleted_ms)}  {each.why}{doubt}")
    print(f"{len(deletions)} deletion records")
    return 0


def _hold(library: Library, record: ClipRecord, *, is_held: bool) -> int:
    library.set_held(record.clip_id, is_held=is_held)
    print(f"{record.clip_id} is {'held' if is_held else 'no longer held'}")
    return 0


def _delete(library: Library, record: ClipRecord) -> int:
    if record.is_held:
        raise DoorwardError(f"{record.clip_id} is held; `clips unhold` comes first")
    if not library.remove([record.clip_id], "owner"):
        raise DoorwardError(f"{record.clip_id} stays: an owner keeps it, or it was held just now")
    print(f"{record.clip_id} is deleted; `clips list --deleted` shows the record of it")
    return 0


def _check(shelves: _Shelves, *, is_json: bool, is_repair: bool) -> int:
    is_running = shelves.is_running
    if is_repair and is_running:
        raise StoreError(
            shelves.library.clips_dir,
            "a doorbell is recording here. Stop it first; it also repairs by itself at each start",
        )
    faults = _faults(shelves, is_running=is_running)
    repaired: list[Fault] = []
    if is_repair and any(fault.is_repairable for fault in faults):
        with shelves.alone():
            _repair(shelves)
        left = _faults(shelves, is_running=False)
        repaired = [fault for fault in faults if fault not in left]
        faults = left
    if is_json:
        print(
            json.dumps({"faults": _fault_list(faults), "repaired": _fault_list(repaired)}, indent=1)
        )
        return 1 if faults else 0
    for fault in repaired:
        print(f"repaired  {fault.clip_id or '-'}  {fault.text}")
    for fault in faults:
        hint = "  (--repair puts it right)" if fault.is_repairable and not is_repair else ""
        print(f"FAULT     {fault.clip_id or '-'}  {fault.text}{hint}")
    print(f"{shelves.library.count()} clips checked, {len(faults)} faults")
    return 1 if faults else 0


def _faults(shelves: _Shelves, *, is_running: bool) -> list["Fault"]:
    from firmware.clips.check import LibraryCheck

    check = LibraryCheck(
        shelves.library,
        shelves.vault,
        identity_spki=shelves.keys.signer.spki,
        is_recording=is_running,
    )
    return list(check.faults(_tell_progress))


def _repair(shelves: _Shelves) -> None:
    from firmware.clips.crash_recovery import close_open_clips
    from firmware.clips.thumbnail import Thumbnails

    vault = shelves.vault
    close_open_clips(shelves.library, vault, shelves.manifest_signer)
    thumbnails = Thumbnails(shelves.library, vault)
    for record in shelves.library.in_order():
        try:
            thumbnails.make(record)
        except (OSError, VaultError):
            continue  # the second check names what is wrong with it


def _fault_list(faults: list["Fault"]) -> list[dict[str, object]]:
    return [
        {"clip_id": f.clip_id or None, "fault": f.text, "is_repairable": f.is_repairable}
        for f in faults
    ]


def _record_of(library: Library, beginning: str) -> ClipRecord:
    if not beginning:
        raise DoorwardError("write a clip's id, or the beginning of it; `clips list` shows them")
    found = [record for record in library.finished() if record.clip_id.startswith(beginning)]
    if not found:
        raise DoorwardError(f"there is no clip {beginning}; `clips list` shows what there is")
    if len(found) > 1:
        raise DoorwardError(f"{len(found)} clips begin with {beginning}; write more of the id")
    return found[0]


def _file_on_card(folder: Path, beginning: str) -> Path:
    found = [
        path
        for place in (folder, folder / "clips")
        if place.is_dir()
        for path in sorted(place.glob("*.clip"))
        if path.stem.startswith(beginning)
    ]
    if len(found) != 1:
        raise DoorwardError(f"{folder}: {len(found)} clips begin with {beginning!r}, not one")
    return found[0]


def _opened_by_words(path: Path) -> SealedFile:
    is_typed = sys.stdin.isatty()
    text = getpass.getpass("recovery words: ") if is_typed else sys.stdin.readline()
    return open_with_recovery_key(path, parse_recovery_secret(text))


def _export(file: SealedFile, target: Path, form: str) -> int:
    """Write the clip to a new file; 1 if it could only be read in part."""
    from firmware.clips.playback import ClipReader

    reader = ClipReader(file)
    units: list[ClipUnit] = []
    damage = ""
    try:
        for unit in reader.units():
            units.append(unit)  # noqa: PERF402 (what came before the damage is kept)
    except VaultError as error:
        damage = str(error)
    if reader.start is None or not units:
        raise VaultError(f"{file.path.name} has no pictures that can be read. {damage}".rstrip())
    sound = reader.sound.units
    _write_new(target, _pieces(reader, reader.start, units, form))
    seconds = units[-1].pts_90k / 90_000
    heard = ", with sound" if sound and form != "h264" else ""
    print(f"{target}: {len(units)} pictures, {seconds:.1f} s{heard}", file=sys.stderr)
    if damage:
        print(f"the rest is lost: {damage}", file=sys.stderr)
        return 1
    if reader.signed_manifest is None:
        print("the recording was cut short; this is all there is", file=sys.stderr)
    return 0


def _write_new(target: Path, pieces: Iterator[bytes]) -> None:
    """Write a file that isn't there yet, for its owner's eyes only, whole or not at all.

    Raises StoreError.
    """
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as output:
            try:
                for piece in pieces:
                    output.write(piece)
                output.flush()
            except BaseException:
                target.unlink()
                raise
    except FileExistsError as error:
        raise StoreError(target, "is there already; nothing is overwritten") from error
    except OSError as error:
        raise StoreError(target, f"can't be written ({error.strerror})") from error


def _pieces(
    reader: "ClipReader", start: ClipStart, units: list[ClipUnit], form: str
) -> Iterator[bytes]:
    from firmware.clips.mp4 import annex_b, fragmented_mp4, plain_mp4

    if form == "h264":
        yield from annex_b(units)
        return
    manifest = None if reader.signed_manifest is None else _readable(reader.signed_manifest)
    tags = tags_of(
        device="" if manifest is None else manifest.device,
        started_ms=start.started_ms,
        is_clock_trusted=start.is_clock_trusted,
    )
    write = fragmented_mp4 if form == "fmp4" else plain_mp4
    yield write(
        units,
        reader.sound.units,
        width=start.width,
        height=start.height,
        rotation=start.rotation,
        tags=tags,
    )


def _readable(signed: SignedManifest) -> ClipManifest | None:
    """Return the manifest, or None if it is damaged: the clip is listed and exported without it."""
    try:
        return manifest_of(signed)
    except VaultError:
        return None


def _time(wall_ms: int) -> str:
    return datetime.fromtimestamp(wall_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _tell_progress(done: int, total: int) -> None:
    if done % PROGRESS_EVERY == 0 or (done == total and total > PROGRESS_EVERY):
        print(f"read {done} of {total} clips", file=sys.stderr)
