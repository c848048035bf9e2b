"""What can be wrong with a backup, or with going back to one.

RelayError
└── BackupError         it can't be taken or restored as things are; the text says what to do
    ├── BackupDamaged   what is there isn't what the manifest, or the log, says
    └── WouldFork       the world has seen more than the backup: signing on would contradict it
"""

from relay.errors import RelayError


class BackupError(RelayError):
    """A backup can't be taken or restored as things are."""


class BackupDamaged(BackupError):
    """A file or an entry isn't what it has to be."""


class WouldFork(BackupError):
    """Going on from this backup would show the world two histories of one log."""
