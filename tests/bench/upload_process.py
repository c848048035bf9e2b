"""One upload as a process of its own: Doorward's uploader, or boto3 as its documentation has it.

    python -m tests.bench.upload_process doorward OUTGOING-FOLDER BUCKET-ORIGIN TICKET-FILE
    python -m tests.bench.upload_process boto3 FILE ENDPOINT BUCKET ACCESS-KEY SECRET-KEY OBJECT-KEY

Says `ready` once all is imported and made, hears a line, uploads, and says `upload`: how long it
took and what CPU time all of its threads together.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path


def doorward(folder: str, origin: str, ticket_file: str) -> Callable[[], object]:
    """Return what uploads by the doorbell's own code, notes on the card among it."""
    from firmware.outbox.bucket import Bucket
    from firmware.outbox.outgoing import Outgoing
    from firmware.outbox.uploader import PARTS_AT_ONCE, Uploader
    from firmware.protocol.commands import UploadTicket
    from firmware.protocol.encoding import decode

    ticket = decode(UploadTicket, Path(ticket_file).read_bytes(), max_bytes=1 << 20)
    uploader = Uploader(
        outgoing=Outgoing(Path(folder)),
        bucket=Bucket(origin, parts_at_once=PARTS_AT_ONCE),
        source=random.Random(),
    )
    return lambda: asyncio.run(uploader.upload(ticket))


def boto3(
    file: str, endpoint: str, bucket: str, access_key: str, secret_key: str, key: str
) -> Callable[[], object]:
    """Return what uploads by `upload_fileobj` with SHA-256, in boto3's own parts and threads."""
    import boto3
    from botocore.client import Config

    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name="us-east-1",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )

    def upload() -> None:
        with Path(file).open("rb") as stream:
            client.upload_fileobj(stream, bucket, key, ExtraArgs={"ChecksumAlgorithm": "SHA256"})

    return upload


def main(kind: str, *arguments: str) -> None:
    """Upload once."""
    upload = {"doorward": doorward, "boto3": boto3}[kind](*arguments)
    say(ready=True)
    sys.stdin.readline()
    begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
    upload()
    say(
        upload={
            "wall_s": time.perf_counter() - begin_s,
            "cpu_s": time.process_time() - begin_cpu_s,
        }
    )


def say(**words: object) -> None:
    """Say one line."""
    print(json.dumps(words), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
