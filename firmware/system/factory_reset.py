"""Factory reset: wipes all keys, people and recordings; the next start makes a new identity.

Only the settings (doorbell.toml) and the claim file stay. A new identity wipes the same, and then
moves in what was enrolled in a folder of its own beforehand. The list is explicit, because the data
folder may hold things that aren't ours; a test holds it against every name that the doorbell
uses. First a marker is made durable, then keys go, then what they opened: a wipe that was cut
short at any moment is finished at the next start, before anything else reads the folder.

Flash storage keeps old blocks. Sealed files stay unreadable only if their storage key is gone.
"""

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from firmware.errors import StoreError
from firmware.system.durable_files import sync_folder, write_atomic

log = logging.getLogger(__name__)

MARKER = "reset.begun"
MOVING = "identity.moving"
"""All is wiped, and the new identity's files are being moved."""
NEXT_IDENTITY = "next-identity"
NEXT_FILES = (
    "identity.key",
    "sealing.key",
    "shard-directory.json",
    "shard-policy.txt",
    "shard.json",
    "ca.pem",
    "certificate.pem",
    "enrolment.json",
)
"""What a new identity brings along; the last of it is what orders the wipe."""
KEYS = ("storage.key", "identity.key", "sealing.key")
"""Overwritten before they are removed, the one that seals the clips first."""
FOLDERS = (
    "clips",
    "outgoing",
    "register",
    "earlier-proofs",
    "replies",
    "next-shard",
    NEXT_IDENTITY,
)
FILES = (
    "owners.json",
    "browsers.json",
    "door.json",
    "knock.json",
    "check.json",
    "check-in.json",
    "exports.json",
    "recovery.json",
    "enrolment.json",
    "shard.json",
    "shard-directory.json",
    "shard-policy.txt",
    "certificate.pem",
    "boots.json",
    "cloned.json",
    "ca.pem",
    "library.sqlite3",
    "outbox.sqlite3",
    "early-presses.jsonl",
    "camera-rescue.json",
    "clock.json",
    "troubles.json",
    "sound.json",
    "speaker.wav",
    "wifi.json",
    "storage-speed.tmp",
    "control.sock",
)
BESIDE = ("", "-wal", "-shm", "-journal", ".new")
"""What SQLite and `durable` put beside a file."""

Remove = Callable[[Path], None]


def order_wipe(data_dir: Path) -> None:
    """Order a wipe, durably: from now on this or the next start of the doorbell wipes all."""
    write_atomic(data_dir / MARKER, b"")


def finish_wipe(data_dir: Path, *, remove: Remove | None = None) -> bool:
    """Wipe if one was ordered, and return whether; call it before anything reads the folder.

    Raises StoreError if something can't be removed: the rest is gone, and the order stays.
    """
    if (data_dir / MOVING).exists():
        _move_in(data_dir)
        return True
    marker = data_dir / MARKER
    has_next = not marker.exists() and (data_dir / NEXT_IDENTITY / NEXT_FILES[-1]).exists()
    if not marker.exists() and not has_next:
        return False
    log.warning("reset: wiping %s", data_dir)
    kept = {data_dir / NEXT_IDENTITY} if has_next else set()
    first_error: OSError | None = None
    for path in _doomed(data_dir):
        if path in kept:
            continue
        try:
            (remove or remove_durably)(path)
        except OSError as error:
            first_error = first_error or error
    if first_error is not None:
        problem = f"can't be removed ({first_error.strerror}); the reset goes on at the next start"
        raise StoreError(Path(first_error.filename or data_dir), problem) from first_error
    if has_next:
        write_atomic(data_dir / MOVING, b"")
        _move_in(data_dir)
        return True
    marker.unlink()
    sync_folder(data_dir)
    log.warning("reset: done; the next start makes a new identity and needs a new claim")
    return True


def _move_in(data_dir: Path) -> None:
    """Move the new identity's files to their places; whatever was moved before stays."""
    folder = data_dir / NEXT_IDENTITY
    for name in NEXT_FILES:
        if (folder / name).exists():
            (folder / name).replace(data_dir / name)
    sync_folder(data_dir)
    if folder.exists():
        shutil.rmtree(folder)
    sync_folder(data_dir)
    (data_dir / MOVING).unlink()
    sync_folder(data_dir)
    log.warning("reset: done; the doorbell has its new identity, and is to be paired anew")


def remove_durably(path: Path) -> None:
    """Remove one file, or all that a folder holds, so that a power cut doesn't bring it back."""
    if path.is_dir():  # also behind a link, such as to a larger disk
        for inner in path.iterdir():
            if inner.is_dir() and not inner.is_symlink():
                shutil.rmtree(inner)
            else:
                inner.unlink()
        sync_folder(path)
        return
    if path.name in KEYS and path.is_file() and not path.is_symlink():
        _overwrite(path)
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def _doomed(data_dir: Path) -> list[Path]:
    names = [
        *(key + end for key in KEYS for end in ("", ".new")),
        *FOLDERS,
        *(file + end for file in FILES for end in BESIDE),
    ]
    paths = [data_dir / name for name in names]
    return [path for path in paths if _holds_something(path)]


def _holds_something(path: Path) -> bool:
    return any(path.iterdir()) if path.is_dir() else path.is_symlink() or path.exists()


def _overwrite(path: Path) -> None:
    """Overwrite a key in place; flash storage that moves blocks may keep the old one."""
    with path.open("r+b") as file:
        file.write(os.urandom(path.stat().st_size))
        file.flush()
        os.fsync(file.fileno())
