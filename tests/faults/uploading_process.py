"""A doorbell's uploader as a process that may be killed: follows one ticket, says how it went.

    python -m tests.faults.uploading_process OUTGOING-FOLDER BUCKET-ORIGIN TICKET-FILE

It says `begun`, and at the end the parts as the bucket acknowledged them, as canonical JSON.
"""

import asyncio
import random
import sys
from pathlib import Path

from firmware.outbox.bucket import Bucket
from firmware.outbox.outgoing import Outgoing
from firmware.outbox.uploader import PARTS_AT_ONCE, Uploader
from firmware.protocol.commands import UploadTicket
from firmware.protocol.encoding import decode
from firmware.protocol.events import PackageUploaded


async def main(folder: Path, origin: str, ticket_file: Path) -> None:
    """Upload once."""
    ticket = decode(UploadTicket, ticket_file.read_bytes(), max_bytes=1 << 20)
    uploader = Uploader(
        outgoing=Outgoing(folder),
        bucket=Bucket(origin, parts_at_once=PARTS_AT_ONCE),
        source=random.Random(),
    )
    print("begun", flush=True)
    parts = await uploader.upload(ticket)
    print(PackageUploaded(package_id=ticket.package_id, parts=parts).encode().decode(), flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
