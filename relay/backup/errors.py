"""Errors of backups and restores.

RelayError
└── BackupError         it can't be taken or restored as things are; the text says what to do
    ├── BackupDamaged   what is there isn't what the manifest, or the log, says
    └── WouldFork       the world has seen more than the backup: signing on would contradict it
"""

from relay.errors import RelayError


class BackupError(RelayError):
    """A backup can't be taken or restored as things are."""


class BackupDamaged(BackupError):
    """A file or an entry of a backup is damaged."""


class WouldFork(BackupError):
    """Restoring this backup would publish two histories of one log."""
