"""Renewal of the doorbell's certificate for the broker, by the same key.

At two thirds of the certificate's life, by the doorbell's own clock; and, whatever that clock says,
when the link has been down for a quarter of an hour: a doorbell that doesn't know the time, or was
off for a winter, has a certificate that the broker may refuse. The relay decides by its own clock.
A broker that refuses the doorbell makes it ask within a minute: it may be another shard's.

The new certificate is checked as at enrolment and replaces `certificate.pem`, all or nothing; the
link reads that file at its next connect. What can't be renewed is a trouble for the owner to see.
A relay may answer that this doorbell is another shard's (`enrolment.shard_move`). While that one
doesn't take it yet, it is asked again each minute for an hour.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Protocol

import httpx2
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from firmware.enrolment.client import (
    CA_FILE,
    CERTIFICATE_FILE,
    UNKNOWN_CLAIM,
    check_certificate,
)
from firmware.enrolment.keys import DeviceKeys
from firmware.enrolment.relay_calls import (
    MAX_ANSWER_BYTES,
    elsewhere_in,
    is_for_later,
    post,
    refusal_in,
)
from firmware.errors import (
    AnswerRefused,
    ClaimRefused,
    EnrolmentError,
    RelayUnreachable,
    RenewalRefused,
    ShardRefused,
)
from firmware.protocol.encoding import WireError, b64u, decode
from firmware.protocol.events import TroubleCode
from firmware.protocol.renewals import Renewal, RenewalRequest, renewal_message
from firmware.protocol.shards import Elsewhere
from firmware.system.backoff import Backoff
from firmware.system.clock import Clock
from firmware.system.durable_files import write_atomic

SHARE = 2 / 3
JITTER = 1 / 15
"""Of a certificate's life: doorbells that were enrolled together don't come back together."""
LOOK_EVERY_S = 3600.0
OFFLINE_S = 15 * 60.0
ASK_WHY_S = 60.0
FIRST_WAIT_S = 20 * 60.0
LONGEST_WAIT_S = 12 * 3600.0
NOT_DUE = "not_due"
FINAL_CODES = frozenset({"revoked", "too_late", "unknown", "certificate", "signature"})
"""The relay's codes for what no later request changes: the owner is told to reset the doorbell."""
ARRIVE_EVERY_S = 60.0
ARRIVE_FOR_S = 3600.0
"""The operator carries the file with this doorbell from one shard to the other meanwhile."""

log = logging.getLogger(__name__)


class LinkState(Protocol):
    """The link to the broker (`firmware.link.link_session.LinkSession`)."""

    @property
    def is_online(self) -> bool:
        """Return whether the broker has let us in and still does."""
        ...


class Moves(Protocol):
    """What follows a relay to another shard (`firmware.enrolment.shard_move.ShardMove`)."""

    async def take(self, elsewhere: Elsewhere) -> None:
        """Follow an answer that leads to another shard; raises EnrolmentError or OSError."""
        ...


class _NotTakenYet(Exception):
    """The shard that we were led to doesn't answer, or doesn't take us."""


class CertificateRenewal:
    """Renews the certificate of one doorbell; `run` until cancelled."""

    def __init__(
        self,
        *,
        data_dir: Path,
        relay_url: str,
        keys: DeviceKeys,
        http: httpx2.AsyncClient,
        link: LinkState,
        clock: Clock,
        source: random.Random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        moves: Moves | None = None,
    ) -> None:
        self._path = data_dir / CERTIFICATE_FILE
        self._ca_path = data_dir / CA_FILE
        self._url = relay_url.rstrip("/") + "/renew"
        self._keys = keys
        self._http = http
        self._link = link
        self._clock = clock
        self._sleep = sleep
        self._moves = moves
        self._source = source
        self._is_wanted_soon = asyncio.Event()
        self._has_asked_why = False
        self._jitter = source.random() * JITTER
        self._backoff = Backoff(first_s=FIRST_WAIT_S, max_s=LONGEST_WAIT_S, source=source)
        self._offline_since_ns: int | None = None
        self._arriving_since_ns: int | None = None
        """Since when another shard, which we were led to, doesn't take us."""
        self._is_refused = False
        self._is_led_nowhere = False

    @property
    def present_troubles(self) -> Collection[TroubleCode]:
        """The troubles that a refused renewal, or a move that fails, is, as health reports them."""
        troubles: list[TroubleCode] = []
        if self._is_refused:
            troubles.append("certificate")
        if self._is_led_nowhere:
            troubles.append("shard")
        return troubles

    async def run(self) -> None:
        """Look each hour, and when the broker refuses, whether the certificate is to be renewed."""
        while True:
            await self._wait(await self.look())

    def on_refused(self) -> None:
        """The broker refuses this doorbell: ask the relay soon, once until it is online again."""
        if not self._has_asked_why:
            self._has_asked_why = True
            self._is_wanted_soon.set()

    def on_let_in(self) -> None:
        """The broker lets this doorbell in: it is where it belongs."""
        self._has_asked_why = False
        self._offline_since_ns = None
        self._end_arrival()

    async def _wait(self, wait_s: float) -> None:
        waiting = asyncio.ensure_future(self._sleep(wait_s))
        asked = asyncio.ensure_future(self._is_wanted_soon.wait())
        try:
            await asyncio.wait({waiting, asked}, return_when=asyncio.FIRST_COMPLETED)
            if asked.done():  # a fleet that is refused at once doesn't ask at once
                await self._sleep(min(wait_s, self._source.random() * ASK_WHY_S))
        finally:
            waiting.cancel()
            asked.cancel()

    async def look(self) -> float:
        """Renew the certificate if it is time; return for how long to wait."""
        if self._link.is_online:
            self.on_let_in()
        try:
            certificate = await asyncio.to_thread(self._load)
            if not self._is_wanted(certificate):
                if self._link.is_online:
                    self._is_refused = False
                    self._backoff.reset()
                return min(LOOK_EVERY_S, OFFLINE_S)
            await self._renew(certificate)
        except _NotTakenYet as error:
            log.warning("the other shard doesn't have this doorbell yet: %s", error)
            return self._next_arrival_s()
        except (ShardRefused, ClaimRefused) as error:
            if not self._is_led_nowhere:
                log.error("%s", error)
            self._is_led_nowhere = True
            return self._backoff.next_s()
        except RenewalRefused as error:
            self._take_refusal(error)
            return self._backoff.next_s()
        except (EnrolmentError, OSError, ValueError) as error:
            log.warning("the certificate isn't renewed yet: %s", error)
            return self._backoff.next_s()
        self._is_refused = False
        self._offline_since_ns = None
        self._end_arrival()
        self._backoff.reset()
        return min(LOOK_EVERY_S, OFFLINE_S)

    def _is_wanted(self, certificate: x509.Certificate) -> bool:
        is_asked_for = self._is_wanted_soon.is_set()
        self._is_wanted_soon.clear()
        return (
            self._is_due(certificate)
            or self._is_long_offline()
            or is_asked_for
            or self._is_arriving()
        )

    def _is_due(self, certificate: x509.Certificate) -> bool:
        starts_s = certificate.not_valid_before_utc.timestamp()
        life_s = certificate.not_valid_after_utc.timestamp() - starts_s
        return self._clock.wall_ms() / 1000 >= starts_s + life_s * (SHARE + self._jitter)

    def _is_long_offline(self) -> bool:
        now_ns = self._clock.monotonic_ns()
        if self._link.is_online:
            return False
        if self._offline_since_ns is None:
            self._offline_since_ns = now_ns
        return now_ns - self._offline_since_ns >= OFFLINE_S * 1e9

    def _is_arriving(self) -> bool:
        since_ns = self._arriving_since_ns
        return since_ns is not None and (self._clock.monotonic_ns() - since_ns < ARRIVE_FOR_S * 1e9)

    def _next_arrival_s(self) -> float:
        if self._arriving_since_ns is None:
            self._arriving_since_ns = self._clock.monotonic_ns()
        if not self._is_arriving():
            return self._backoff.next_s()
        return ARRIVE_EVERY_S * (0.75 + self._source.random() / 2)

    async def _renew(self, certificate: x509.Certificate) -> None:
        """Get the next certificate and store it; raises EnrolmentError, OSError or ValueError."""
        pem = certificate.public_bytes(Encoding.PEM).decode()
        signature = self._keys.sign(renewal_message(certificate))
        request = RenewalRequest(certificate_pem=pem, signature=b64u(signature))
        status, body = await post(self._http, self._url, request.encode())
        if is_for_later(status):
            raise RelayUnreachable(self._url, f"HTTP status {status}")
        elsewhere = elsewhere_in(status, body)
        if elsewhere is not None and self._moves is not None:
            await self._follow(self._moves, elsewhere)
            return
        if status != 200:
            raise RenewalRefused(*refusal_in(status, body))
        try:
            renewal = decode(Renewal, body, max_bytes=MAX_ANSWER_BYTES)
            renewed = x509.load_pem_x509_certificate(renewal.certificate_pem.encode())
        except (WireError, ValueError, x509.InvalidVersion) as error:
            raise AnswerRefused(f"the relay's answer isn't a renewal: {error}") from error
        await asyncio.to_thread(self._keep, certificate, renewed)
        log.info("the certificate for the broker is renewed")

    async def _follow(self, moves: Moves, elsewhere: Elsewhere) -> None:
        try:
            await moves.take(elsewhere)
        except RelayUnreachable as error:
            raise _NotTakenYet(str(error)) from error
        except ClaimRefused as error:
            if error.code != UNKNOWN_CLAIM:
                raise
            raise _NotTakenYet(str(error)) from error

    def _keep(self, before: x509.Certificate, renewed: x509.Certificate) -> None:
        ca = x509.load_pem_x509_certificate(self._ca_path.read_bytes())
        check_certificate(renewed, ca, ExtendedKeyUsageOID.CLIENT_AUTH, self._keys)
        if renewed.not_valid_after_utc <= before.not_valid_after_utc:
            raise AnswerRefused("the relay answered with a certificate that is no newer")
        write_atomic(self._path, renewed.public_bytes(Encoding.PEM), mode=0o644)

    def _take_refusal(self, error: RenewalRefused) -> None:
        if error.code in FINAL_CODES:
            if not self._is_refused:
                log.error("%s", error)
            self._is_refused = True
        elif error.code == NOT_DUE:  # by the relay that has this doorbell, or has it again
            self._is_refused = False
            self._end_arrival()
        else:
            log.warning("%s", error)

    def _end_arrival(self) -> None:
        """Forget that a relay led elsewhere: the next time, that shard is asked patiently again."""
        if self._is_led_nowhere or self._arriving_since_ns is not None:
            self._backoff.reset()
        self._is_led_nowhere = False
        self._arriving_since_ns = None

    def _load(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self._path.read_bytes())
