"""The files of an opened copy: the clip as MP4, and the papers that prove it, in a new folder.

`doorward-verify recording` checks such a folder, wherever it is.
"""

import shutil
from pathlib import Path

from firmware.companion.viewer.mirror.errors import CopyFolderError, CopyRefused
from firmware.companion.viewer.mirror.owner_key import public_of
from firmware.companion.viewer.mirror.sealed_copy import (
    FileSource,
    ReadCopy,
    open_copy,
    read_copy,
)
from firmware.protocol.encoding import WireError
from firmware.system.durable_files import write_atomic

CLIP_NAME, MANIFEST_NAME, KEY_NAME = "clip-1.mp4", "manifest-1.json", "doorbell-key.txt"


def open_into(path: Path, private_key: bytes, out: Path) -> ReadCopy:
    """Open one copy into a new folder that only its owner reads, and return what it says.

    CopyRefused if it isn't, whole, what the doorbell signed; CopyFolderError if the folder can't
    be made. Either leaves no folder.
    """
    try:
        copy = read_copy(FileSource(path))
    except WireError as error:
        raise CopyRefused(str(error)) from error
    mp4 = open_copy(copy, private_key, public_of(private_key))
    files = {
        CLIP_NAME: mp4,
        MANIFEST_NAME: copy.header.manifest.encode(),
        KEY_NAME: f"{copy.header.identity_key}\n".encode(),
    }
    try:
        out.mkdir(mode=0o700, parents=True)
        out.chmod(0o700)  # an umask or a default ACL may have made it another
    except FileExistsError as error:
        raise CopyFolderError(f"{out} is there already; name a new folder with --out") from error
    except OSError as error:
        raise CopyFolderError(f"{out} can't be made: {error.strerror}") from error
    try:
        for name, data in files.items():
            write_atomic(out / name, data)
    except OSError as error:
        shutil.rmtree(out, ignore_errors=True)
        raise CopyFolderError(f"{out} can't be written: {error.strerror}") from error
    return copy
