"""A relay's own files, and the rewriting of its settings for another folder.

All small files beside relay.toml and in the data folder belong to it: settings, keys, what `init`
wrote; whatever relay.toml names there, by whichever name. Not the database (copied by itself), not
what only spares work, not the broker's streams (doorbells keep what has no receipt) and not map
files, which can be had again.
"""

import json
import os
import re
from collections.abc import Collection
from pathlib import Path

from msgspec import Struct, structs

from relay.backup.errors import BackupError
from relay.backup.manifest import is_safe_path
from relay.config.loader import load
from relay.config.settings import Config
from relay.errors import ConfigError

MAX_FILE_BYTES = 4 * 1024 * 1024
LAST_BACKUP = "last-backup"
"""When the newest backup was finished, in milliseconds; `check` and the metrics read it."""
OTHERS_READ = 0o004
_LEFT_OUT = re.compile(
    r"(relay\.sqlite3.*|saved-.*|.*\.new|.*\.pmtiles|.*\.log|last-backup|\.[^/]*|broker/.*)\Z"
)
_MAP = ".pmtiles"
BROKER_FOLDER = re.compile(r"broker-[1-9]\d?\Z")
"""Of a broker of a cluster; one that is alone has `broker/`, and its settings beside it."""
_OF_A_BROKER = re.compile(r"nats\.conf|[^.].*\.(pem|key)\Z")
"""A cluster's brokers have a folder each; their streams beneath it are left out."""
_NAMED_FOLDER = (".toml", ".conf")
_KEY = re.compile(r"\s*([A-Za-z_]+)\s*=")
_TABLE = re.compile(r"\s*\[+\s*([A-Za-z_.]+)\s*\]+")


def list_owned_files(config_path: Path, config: Config) -> dict[str, Path]:
    """Return a relay's files by their names in a backup, or raise BackupError."""
    settings = config_path.resolve()
    found: dict[str, Path] = {"relay.toml": settings}
    folders = list(dict.fromkeys([settings.parent, config.data_dir.resolve()]))
    for folder in folders:
        for path in sorted(folder.iterdir()):
            if path.is_file() and not _LEFT_OUT.match(path.name) and path != settings:
                _take(found, path.name, path)
            if path.is_dir() and BROKER_FOLDER.match(path.name):
                for own in sorted(path.iterdir()):
                    if own.is_file() and _OF_A_BROKER.match(own.name):
                        _take(found, f"{path.name}/{own.name}", own)
    for path in named_elsewhere(config, found.values()):
        if path.parent.resolve() in folders and path.is_file():
            _take(found, path.name, path)
    for path in named_elsewhere(config, found.values()):
        if _is_small(path) and not path.stat().st_mode & OTHERS_READ:
            raise BackupError(
                f"relay.toml names {path}, a secret that lies neither beside it nor in data_dir: "
                "move it there, so that a backup holds it"
            )
    return found


def named_elsewhere(config: Config, known: Collection[Path]) -> list[Path]:
    """Return files that the settings name and that aren't among the known ones."""
    taken = {path.resolve() for path in known}
    return [
        path
        for path in dict.fromkeys(_named(config))
        if path.resolve() not in taken and path.suffix != _MAP
    ]


def _is_small(path: Path) -> bool:
    """Return whether a file is small enough to be a secret."""
    return path.is_file() and path.stat().st_size <= MAX_FILE_BYTES


def _take(found: dict[str, Path], name: str, path: Path) -> None:
    if not _is_small(path):
        return
    if not is_safe_path(name):
        raise BackupError(f"{path} can't be in a backup by that name: rename it or move it away")
    if name in found:
        raise BackupError(f"{path} and {found[name]} have one name: which is the relay's?")
    found[name] = path


def _named(settings: object) -> list[Path]:
    """Return every path that the settings hold, in whichever table."""
    found: list[Path] = []
    for field in structs.fields(settings) if isinstance(settings, Struct) else ():
        value = getattr(settings, field.name)
        if isinstance(value, Path) and field.name != "data_dir":
            found.append(value)
        for inner in value if isinstance(value, tuple) else (value,):
            found += _named(inner)
    return found


def moved(name: str, data: bytes, *, old_folder: str, new_folder: Path) -> bytes:
    """Return a file's bytes; in a settings file, the folder that they name is replaced."""
    if not name.endswith(_NAMED_FOLDER) or len(old_folder) < 2:
        return data
    of_a_name = rb"\w.@+~\x80-\xff-"  # /srv/old is neither in /mnt/srv/old nor in /srv/older
    whole = rb"(?<![/%b])%b(?![%b])" % (of_a_name, re.escape(os.fsencode(old_folder)), of_a_name)
    return re.sub(whole, lambda _: os.fsencode(new_folder), data)


def settled(text: str, *, database_url: str | None, bucket_endpoint: str | None) -> str:
    """Return relay.toml's text for another folder, database or object store, otherwise as it is."""
    changes: dict[tuple[str, str], str] = {("", "data_dir"): "."}
    if database_url is not None:
        changes["", "database_url"] = database_url
    if bucket_endpoint is not None:
        changes["bucket", "endpoint"] = bucket_endpoint
    lines, table = [], ""
    for line in text.splitlines():
        if opened := _TABLE.match(line):
            table = opened[1]
        key = _KEY.match(line)
        value = changes.pop((table, key[1]), None) if key else None
        lines.append(line if value is None or key is None else f"{key[1]} = {json.dumps(value)}")
    missing = [f"{key} = {json.dumps(value)}" for (_, key), value in changes.items()]
    return "\n".join([*missing, *lines]) + "\n"


def read_settings(path: Path) -> Config:
    """Read restored settings, or raise BackupError with what is wrong."""
    try:
        return load(path)
    except ConfigError as error:
        raise BackupError(f"the backup's relay.toml can't be used: {error}") from error


def note_backup(config: Config, made_ms: int) -> None:
    """Store when a backup was finished. Blocks."""
    beside = config.data_dir / f"{LAST_BACKUP}.new"
    beside.write_text(f"{made_ms}\n")
    beside.replace(config.data_dir / LAST_BACKUP)


def last_backup_ms(config: Config) -> int | None:
    """Return when the newest backup was finished; None if there was none. Blocks."""
    try:
        return int((config.data_dir / LAST_BACKUP).read_text())
    except (OSError, ValueError):
        return None
