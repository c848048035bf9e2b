"""The check whether the object store refuses who has none of its keys.

A store that was started without them serves the relay just as well, and everybody else too. Tried
are the bucket, with no signature, and the ports that SeaweedFS opens beside S3: there it may
neither speak HTTP nor gRPC without TLS (relay/cli/store_security.py).
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2

from relay.base.networks import is_on_loopback
from relay.cli.check_result import CheckResult
from relay.config.settings import BucketConfig
from relay.store.objects import PROBE_KEY

WHAT = "object store's keys"
TIMEOUT_S = 3.0
REFUSED = (401, 403)
LOOPBACK = "127.0.0.1"
HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
SETTINGS_FRAME = 4
REMEDY = (
    ": whoever reaches it reads, overwrites and deletes what is in it. Start it with its s3.json "
    "and security.toml and -disableHttp (docs/guide/operate.md, An older relay)"
)


@dataclass(frozen=True, slots=True)
class OwnPorts:
    """Ports on which one of the store's servers speaks to the others."""

    http: int
    grpc: int


OWN_PORTS: Mapping[str, OwnPorts] = {
    "filer": OwnPorts(8888, 18888),
    "master": OwnPorts(9333, 19333),
}
"""Where they are unless the store is started with others."""
_LISTS = {
    "filer": ("/buckets/?limit=1", '"Path":"/buckets'),
    "master": ("/dir/status", '"Topology"'),
}
"""By server, what lists everything there, and what is in that list."""


async def check_store_keys(
    config: BucketConfig, own_ports: Mapping[str, OwnPorts] = OWN_PORTS
) -> CheckResult | None:
    """Return a failure if any of the store answers without keys; None if it can't be reached."""
    hosts = [LOOPBACK]
    if not is_on_loopback(config.endpoint):
        hosts.append(urlsplit(config.endpoint).hostname or "")
    async with httpx2.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as http:
        try:
            found = await _unsigned(http, config)
        except httpx2.HTTPError:
            return None  # said elsewhere
        tried = [
            look
            for host in hosts
            for server, ports in own_ports.items()
            for look in (
                _by_http(http, server, host, ports.http),
                _by_grpc(server, host, ports.grpc),
            )
        ]
        found += [one for one in await asyncio.gather(*tried) if one]
    if found:
        return CheckResult(what=WHAT, is_ok=False, detail="; ".join(found) + REMEDY)
    return CheckResult(what=WHAT, is_ok=True, detail="who has none is refused")


async def _unsigned(http: httpx2.AsyncClient, config: BucketConfig) -> list[str]:
    """Return what the bucket answers, without a refusal, to requests that nobody signed."""
    bucket = f"{config.endpoint}/{config.name}"
    found = []
    for asked in (f"{bucket}?list-type=2&max-keys=1", f"{bucket}/{PROBE_KEY}"):
        answer = await http.get(asked)
        if answer.status_code not in REFUSED:
            found.append(f"{asked} answers {answer.status_code} with no signature")
    return found


async def _by_http(http: httpx2.AsyncClient, server: str, host: str, port: int) -> str:
    path, mark = _LISTS[server]
    url = f"http://{host}:{port}{path}"
    with suppress(httpx2.HTTPError):
        answer = await http.get(url, headers={"Accept": "application/json"})
        if answer.is_success and mark in answer.text:
            return f"its {server} answers at {url}"
    return ""


async def _by_grpc(server: str, host: str, port: int) -> str:
    """Greet a port with HTTP/2 in clear: a server that wants certificates hangs up."""
    with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(HTTP2_HELLO)
                frame = await reader.readexactly(9)
            finally:
                writer.close()
        if frame[3] == SETTINGS_FRAME:
            return f"its {server} speaks gRPC without TLS at {host}:{port}"
    return ""
