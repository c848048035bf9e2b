"""Files of opened evidence: footage, which nobody but the person who opened it may read.

Folders are 0700 and files 0600, whatever the umask is. A folder is always a new one, and isn't left
behind if it couldn't be written whole; a single file takes the place of one of its name.
"""

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from firmware.protocol.encoding import WireError
from firmware.protocol.media.byte_source import ByteSource


def write_private_folder(folder: Path, files: Mapping[str, ByteSource]) -> None:
    """Write files into a new folder, a piece at a time; an error leaves none."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError as error:
        raise WireError(f"{folder} is there already; name a new folder") from error
    try:
        folder.chmod(0o700)  # an umask takes rights away, and so may a default ACL
        for name, source in files.items():
            _write_new(folder / name, source.pieces())
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def write_private_file(path: Path, data: bytes) -> None:
    """Write one file in the place of another of that name."""
    path.unlink(missing_ok=True)
    _write_new(path, [data])


def _write_new(path: Path, pieces: Iterable[bytes]) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.writelines(pieces)
    except OSError as error:
        raise WireError(f"{path} can't be written: {error.strerror}") from error
