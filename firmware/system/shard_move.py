"""Move to another shard's relay: its files are put into place at the start of the process.

They were written into a folder of their own while the doorbell still ran for the old relay, the
last of them last. Keys, owners and recordings stay; what was read of the old register goes, but for
what may prove that it contradicted itself. A move that was cut short at any moment is finished at
the next start, before anything else reads the folder.
"""

import logging
import shutil
from pathlib import Path

from firmware.system.durable_files import sync_folder

NEXT_SHARD = "next-shard"
SHARD_POLICY = "shard-policy.txt"
SHARD_FILE = "shard.json"
EARLIER_PROOFS = "earlier-proofs"
"""Proofs of the registers that were followed before, each with a number before its name."""
PROOFS = ("contradictions.json", "unproved.json")
MOVED_FILES = (SHARD_POLICY, SHARD_FILE, "ca.pem", "certificate.pem", "enrolment.json")
"""The last of them is what orders the move, and ends it."""

log = logging.getLogger(__name__)


def finish_shard_move(data_dir: Path) -> bool:
    """Move the files of a new shard to their places, if there are any, and return whether."""
    folder = data_dir / NEXT_SHARD
    if not (folder / MOVED_FILES[-1]).exists():
        return False
    if (data_dir / "register").exists():
        _keep_proofs(data_dir)
        shutil.rmtree(data_dir / "register")
    for name in MOVED_FILES:
        if (folder / name).exists():
            (folder / name).replace(data_dir / name)
            sync_folder(data_dir)
    shutil.rmtree(folder)
    sync_folder(data_dir)
    log.warning("this doorbell is another shard's from now on")
    return True


def _keep_proofs(data_dir: Path) -> None:
    """Put the old register's proofs aside: its rmtree would take them along."""
    register, folder = data_dir / "register", data_dir / EARLIER_PROOFS
    found = [name for name in PROOFS if (register / name).exists()]
    if not found:
        return
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(data_dir)
    for name in found:
        number = 1 + sum(1 for _ in folder.glob(f"*-{name}"))
        (register / name).replace(folder / f"{number}-{name}")
    sync_folder(folder)
