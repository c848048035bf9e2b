"""The HTTP client of push services (RFC 8030): sends one encrypted message.

The service decides nothing about the relay: it isn't followed elsewhere (a redirect is a refusal),
gets a few seconds, and of its answer only the status and Retry-After are read. Each message has a
connection of its own, since two names at one address mustn't share a verified one.
"""

import ssl
from dataclasses import dataclass
from typing import Literal

import httpx2

from firmware.protocol.public_addresses import Address
from relay.base.clock import Clock
from relay.notify.push_endpoints import (
    Endpoint,
    EndpointRefused,
    Endpoints,
    EndpointUnresolved,
)
from relay.notify.push_key import PushKey

CONNECT_TIMEOUT_S = 4.0
ANSWER_TIMEOUT_S = 10.0
MAX_AT_ONCE = 64
MAX_ADDRESSES_TRIED = 3
MAX_RETRY_AFTER_S = 3600

ENCRYPTED = {"Content-Encoding": "aes128gcm", "Content-Type": "application/octet-stream"}

Verdict = Literal["sent", "gone", "later", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of one attempt; `later` may succeed, `gone` is a subscription that ended.

    `detail` names the service, never the endpoint, which is a secret.
    """

    verdict: Verdict
    detail: str
    retry_after_s: int = 0


def push_http(tls: ssl.SSLContext | bool = True) -> httpx2.AsyncClient:
    """Return the HTTP client that a sender needs; the caller closes it."""
    return httpx2.AsyncClient(
        verify=tls,
        trust_env=False,
        follow_redirects=False,
        timeout=httpx2.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
        limits=httpx2.Limits(max_connections=MAX_AT_ONCE, max_keepalive_connections=0),
    )


class PushSender:
    """Sends messages to allowed endpoints."""

    def __init__(
        self,
        *,
        http: httpx2.AsyncClient,
        endpoints: Endpoints,
        key: PushKey,
        contact: str | None,
        clock: Clock,
    ) -> None:
        self._http = http
        self._endpoints = endpoints
        self._key = key
        self._contact = contact
        self._clock = clock

    async def send(self, url: str, message: bytes, *, ttl_s: int, topic: str) -> Outcome:
        """Try once; a later message of the same topic takes an undelivered one's place.

        An empty message only wakes the browser.
        """
        try:
            endpoint = self._endpoints.parse(url)
            addresses = await self._endpoints.addresses(endpoint)
        except EndpointRefused as error:
            return Outcome(verdict="gone", detail=str(error))
        except EndpointUnresolved as error:
            return Outcome(verdict="later", detail=str(error))
        headers = self._headers(endpoint, ttl_s=ttl_s, topic=topic)
        if message:
            headers |= ENCRYPTED
        outcome = Outcome(verdict="later", detail=f"{endpoint.name} can't be reached")
        for address in addresses[:MAX_ADDRESSES_TRIED]:
            try:
                return await self._post(endpoint, address, message, headers)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue
            except httpx2.HTTPError as error:
                detail = f"{endpoint.name} broke off ({type(error).__name__})"
                return Outcome(verdict="later", detail=detail)
        return outcome

    def _headers(self, endpoint: Endpoint, *, ttl_s: int, topic: str) -> dict[str, str]:
        return {
            "Host": endpoint.authority,
            "Authorization": self._key.authorization(
                audience=endpoint.origin, subject=self._contact, now_ms=self._clock.wall_ms()
            ),
            "TTL": str(ttl_s),
            "Urgency": "high",
            "Topic": topic,
            "Connection": "close",
        }

    async def _post(
        self, endpoint: Endpoint, address: Address, message: bytes, headers: dict[str, str]
    ) -> Outcome:
        host = f"[{address}]" if address.version == 6 else str(address)
        request = self._http.build_request(
            "POST",
            f"{endpoint.scheme}://{host}:{endpoint.port}{endpoint.target}",
            content=message,
            headers=headers,
            extensions={"sni_hostname": endpoint.name},  # whose certificate it must be
        )
        answer = await self._http.send(request, stream=True)
        await answer.aclose()  # its body is nobody's business
        return _outcome(endpoint.name, answer)


def _outcome(name: str, answer: httpx2.Response) -> Outcome:
    status = answer.status_code
    detail = f"{name} answered {status}"
    if 200 <= status < 300:
        return Outcome(verdict="sent", detail=detail)
    if status in (404, 410):
        return Outcome(verdict="gone", detail=detail)
    if status in (408, 425, 429) or status >= 500:
        wait = answer.headers.get("Retry-After", "")
        is_number = wait.isascii() and wait.isdigit() and len(wait) < 8
        retry_after_s = min(int(wait), MAX_RETRY_AFTER_S) if is_number else 0
        return Outcome(verdict="later", detail=detail, retry_after_s=retry_after_s)
    hint = "; is push.contact right, and push.key the old one?" if status in (401, 403) else ""
    return Outcome(verdict="refused", detail=detail + hint)
