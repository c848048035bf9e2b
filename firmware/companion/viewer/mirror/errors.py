"""Errors of the mirror, all ViewerErrors.

MirrorError
├── CopyFolderError     the folder of copies, its ledger or settings can't be used
├── FolderFull          a copy doesn't fit on the disk
├── CopyRefused         a copy can't be opened, or isn't what it says
└── RightEnded          the doorbell lets this player fetch recordings no more
"""

from firmware.companion.viewer.errors import ViewerError


class MirrorError(ViewerError):
    """Base of all."""


class CopyFolderError(MirrorError):
    """The folder of copies, its ledger or its settings can't be used."""


class FolderFull(MirrorError):
    """There is no room on the disk for a copy; nothing of it is left."""

    def __init__(self, folder: object) -> None:
        super().__init__(
            f"the disk of {folder} is full: make room on it, or have the mirror remove its oldest "
            "copies with a smaller --max-size or --keep-days"
        )


class CopyRefused(MirrorError):
    """A copy can't be opened with this key, was altered, or isn't what the doorbell signed."""


class RightEnded(MirrorError):
    """The doorbell refuses this player's wish for recordings, for good."""
