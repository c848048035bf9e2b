"""One package on its way from a doorbell's folder through a proxy to the real bucket."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from msgspec.structs import replace

from firmware.outbox.outgoing import Outgoing
from firmware.protocol.commands import PartTicket, UploadTicket
from firmware.protocol.encoding import new_id
from firmware.protocol.events import PackageReady, PackageUploaded
from relay.config.settings import Config
from relay.store.objects import ObjectStore
from tests.fakes.bucket_proxy import BucketProxy
from tests.fakes.releases import opening_of

TICKET_LIFE_S = 3600


@dataclass
class Bay:
    """What both sides know of the package. `store` doesn't go through the proxy."""

    outgoing_folder: Path
    ticket_file: Path
    ready: PackageReady
    ticket: UploadTicket
    key: str
    upload_id: str
    store: ObjectStore
    proxy: BucketProxy
    uploaded: PackageUploaded | None = None

    @property
    def package_id(self) -> str:
        return self.ready.package_id

    async def complete(self) -> None:
        """Do what the relay does once all parts are told."""
        assert self.uploaded is not None
        assert await self.store.head(self.key) is None
        await self.store.complete(self.key, self.upload_id, self.uploaded.parts)

    async def download_url(self) -> str:
        return await self.store.presign_get(self.key, TICKET_LIFE_S)


async def open_bay(folder: Path, config: Config, proxy: BucketProxy, sealed: bytes) -> Bay:
    """Keep a package in `folder` and open its upload."""
    outgoing_folder = folder / "outgoing"
    ready = Outgoing(outgoing_folder).put(
        package_id=new_id(),
        request_id=new_id(),
        agency="lakeland",
        opening=opening_of(),
        sealed=sealed,
    )
    store = ObjectStore(config.bucket)
    await store.ensure_bucket(config.public_url)
    signer = ObjectStore(replace(config.bucket, endpoint=proxy.origin))
    key = f"lakeland/{ready.package_id}"
    upload_id = await store.create_multipart(key)
    ticket = UploadTicket(
        package_id=ready.package_id,
        parts=[
            PartTicket(
                number=number,
                sha256=digest,
                url=await signer.presign_part(key, upload_id, number, digest, TICKET_LIFE_S),
            )
            for number, digest in enumerate(ready.part_sha256, start=1)
        ],
    )
    ticket_file = folder / "ticket.json"
    ticket_file.write_bytes(ticket.encode())
    return Bay(
        outgoing_folder=outgoing_folder,
        ticket_file=ticket_file,
        ready=ready,
        ticket=ticket,
        key=key,
        upload_id=upload_id,
        store=store,
        proxy=proxy,
    )


def store_port(config: Config) -> int:
    """Return where the real bucket listens."""
    return urlsplit(config.bucket.endpoint).port or 80
