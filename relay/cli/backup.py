"""The options of `doorward-relay backup` and `restore`.

`relay.backup.commands` carries them out.
"""

import argparse
from pathlib import Path


def add_backup_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to doorward-relay's."""
    text = "copy a whole relay, while it runs, into a new folder: it holds SECRET KEYS"
    taking = commands.add_parser("backup", help=text, description=text)
    taking.add_argument("--config", type=Path, required=True, metavar="relay.toml")
    taking.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    taking.add_argument(
        "--exclude",
        choices=("packages",),
        action="append",
        default=[],
        help="packages: leave sealed evidence out, so that what is erased isn't kept elsewhere",
    )
    taking.set_defaults(run=_run_backup)
    text = "restore a relay from a backup; refused if that would publish a second history"
    going_back = commands.add_parser("restore", help=text, description=text)
    going_back.add_argument("--from", type=Path, required=True, metavar="DIR", dest="source")
    going_back.add_argument("--data", type=Path, required=True, metavar="DIR", help="a new folder")
    going_back.add_argument(
        "--database-url", metavar="URL", help="a PostgreSQL backup: an empty database for it"
    )
    going_back.add_argument(
        "--bucket-endpoint", metavar="URL", help="the object store's URL, if it has changed"
    )
    going_back.add_argument(
        "--without-witness",
        action="append",
        default=[],
        metavar="NAME",
        help="a witness that is gone for good, and can't be asked for its last checkpoint",
    )
    going_back.set_defaults(run=_run_restore)


def _run_backup(options: argparse.Namespace) -> int:
    from relay.backup.commands import run_backup

    return run_backup(options)


def _run_restore(options: argparse.Namespace) -> int:
    from relay.backup.commands import run_restore

    return run_restore(options)
