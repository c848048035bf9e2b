"""Client of enrolment with the relay: sends the claim's secret and a CSR, gets two certificates.

The answer counts only if its CA is the one that the claim pins, and both certificates are for our
key, our id and signed by that CA: one for the broker, one for content credentials, and neither for
the other's use. `enrolment.json` is written last: where it is, all is there.

A relay may lead to another shard's, once, with the same claim (`firmware.enrolment.shards`).
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import httpx2
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec.structs import replace

from firmware.enrolment.keys import DeviceKeys
from firmware.enrolment.relay_calls import (
    MAX_ANSWER_BYTES,
    elsewhere_in,
    is_for_later,
    post,
    refusal_in,
)
from firmware.enrolment.shard_policy import forget_shard
from firmware.enrolment.shards import LedShard, ShardGuide
from firmware.errors import (
    AnswerRefused,
    ClaimRefused,
    RelayUnreachable,
    ShardNotReady,
    ShardRefused,
    StoreError,
)
from firmware.protocol.certified_key import certified_spki
from firmware.protocol.claims import (
    Claim,
    Enrolment,
    EnrolmentRequest,
    replacement_message,
)
from firmware.protocol.encoding import WireError, b64u, decode
from firmware.protocol.public_addresses import is_this_machine
from firmware.protocol.shards import Elsewhere, ListedShard, arrival_secret
from firmware.system.backoff import Backoff
from firmware.system.durable_files import write_atomic

ENROLMENT_FILE = "enrolment.json"
CERTIFICATE_FILE = "certificate.pem"
CA_FILE = "ca.pem"
UNKNOWN_CLAIM = "claim"
"""The relay's code for a claim that it doesn't know."""

log = logging.getLogger(__name__)


def load_enrolment(data_dir: Path, device: str) -> Enrolment | None:
    """Return the stored enrolment, or None; raise StoreError if it is damaged."""
    path = data_dir / ENROLMENT_FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        enrolment = decode(Enrolment, data, max_bytes=MAX_ANSWER_BYTES)
    except WireError as error:
        raise StoreError(path, str(error)) from error
    if enrolment.device != device:
        raise StoreError(path, f"is for doorbell {enrolment.device}, but the key is {device}'s")
    for name in (CERTIFICATE_FILE, CA_FILE):
        if not (data_dir / name).exists():
            raise StoreError(data_dir / name, "is missing though this doorbell is enrolled")
    return enrolment


def load_claim(path: Path) -> Claim:
    """Read the claim file, or raise ClaimRefused."""
    try:
        claim = decode(Claim, path.read_bytes())
    except FileNotFoundError as error:
        raise ClaimRefused("missing", f"there is no file {path}") from error
    except (OSError, WireError) as error:
        raise ClaimRefused("unreadable", f"{path}: {error}") from error
    check_relay_url(claim.relay_url)
    return claim


class Enroller:
    """Enrols one doorbell once; an enrolled one is left as it is."""

    def __init__(
        self,
        *,
        data_dir: Path,
        claim_file: Path,
        keys: DeviceKeys,
        http: httpx2.AsyncClient,
        source: random.Random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        replaced: DeviceKeys | None = None,
        guide: ShardGuide | None = None,
    ) -> None:
        """`replaced` is the identity that the claim takes the place of.

        Without a `guide` this doorbell is led to no other shard.
        """
        self._data_dir = data_dir
        self._claim_file = claim_file
        self._keys = keys
        self._http = http
        self._source = source
        self._sleep = sleep
        self._replaced = replaced
        self._guide = guide

    async def enrol(self) -> Enrolment:
        """Return the enrolment; ask the relay once if there is none yet."""
        known = load_enrolment(self._data_dir, self._keys.device)
        if known is not None:
            return known
        claim = load_claim(self._claim_file)
        led: LedShard | None = None
        try:
            enrolment = await self._ask(claim)
        except _LedElsewhere as answer:
            led = await self._led(answer.elsewhere, claim)
            claim = claim_at(led.shard, claim.secret, expires_ms=claim.expires_ms)
            enrolment = await self._ask_shard(claim)
        check_enrolment(enrolment, claim, self._keys)
        if led is not None:
            check_shard_enrolment(enrolment, led.shard)
            led.keep(self._data_dir)
        elif self._replaced is None:  # a new identity stays in the shard of the old one
            forget_shard(self._data_dir)
        store_enrolment(self._data_dir, enrolment)
        log.info("enrolled as %s", enrolment.device)
        return enrolment

    async def arrive(self, claim: Claim) -> Enrolment:
        """Return the enrolment for a claim that isn't the card's; nothing is stored."""
        enrolment = await self._ask_again(claim)
        check_enrolment(enrolment, claim, self._keys)
        return enrolment

    async def _ask_shard(self, claim: Claim) -> Enrolment:
        """Ask a shard that has the claim, or took this doorbell with the claim used; or will have.

        The first answer to the claim may have been lost before the move.
        """
        arrival = replace(claim, secret=arrival_secret(self._keys.device))
        for one in (claim, arrival):
            try:
                return await self._ask_again(one)
            except ClaimRefused as error:
                if error.code != UNKNOWN_CLAIM:
                    raise
        raise ShardNotReady(claim.relay_url)

    async def _ask_again(self, claim: Claim) -> Enrolment:
        """Ask a shard that another one led to, which leads no further."""
        try:
            return await self._ask(claim)
        except _LedElsewhere as answer:
            raise ShardRefused("twice", f"{claim.relay_url} leads further") from answer

    async def _led(self, elsewhere: Elsewhere, claim: Claim) -> LedShard:
        if self._guide is None:
            raise ShardRefused("no_keys", "this doorbell follows no directory of shards")
        return await self._guide.lead(elsewhere, from_url=claim.relay_url)

    async def enrol_patiently(self) -> Enrolment:
        """Like `enrol`, but wait and try again for as long as the relay doesn't answer."""
        backoff = Backoff(first_s=1, max_s=60, source=self._source)
        while True:
            try:
                return await self.enrol()
            except RelayUnreachable as error:
                wait_s = backoff.next_s()
                log.warning("not enrolled yet, next try in %.0f s: %s", wait_s, error)
                await self._sleep(wait_s)

    def _replaced_signature(self) -> str | None:
        if self._replaced is None:
            return None
        return b64u(self._replaced.sign(replacement_message(self._keys.signer.spki)))

    async def _ask(self, claim: Claim) -> Enrolment:
        request = EnrolmentRequest(
            secret=claim.secret,
            csr_pem=self._keys.signer.certificate_request(self._keys.device),
            sealing_key=self._keys.sealing_key,
            replaced_signature=self._replaced_signature(),
        )
        url = claim.relay_url.rstrip("/") + "/enrol"
        try:
            status, body = await post(self._http, url, request.encode())
        except httpx2.InvalidURL as error:
            raise ClaimRefused("relay_url", f"{url} isn't an address ({error})") from error
        if is_for_later(status):
            raise RelayUnreachable(claim.relay_url, f"HTTP status {status}")
        if (elsewhere := elsewhere_in(status, body)) is not None:
            raise _LedElsewhere(elsewhere)
        if 400 <= status < 500:
            raise ClaimRefused(*refusal_in(status, body))
        if status not in (200, 201):
            raise AnswerRefused(f"{url} answered with HTTP status {status}; is it the relay?")
        try:
            return decode(Enrolment, body, max_bytes=MAX_ANSWER_BYTES)
        except WireError as error:
            raise AnswerRefused(f"the relay's answer isn't an enrolment: {error}") from error


class _LedElsewhere(Exception):
    """The relay's answer that the claim is another shard's."""

    def __init__(self, elsewhere: Elsewhere) -> None:
        super().__init__()
        self.elsewhere = elsewhere


def store_enrolment(folder: Path, enrolment: Enrolment) -> None:
    """Write an enrolment and its certificates, the enrolment last; raises OSError."""
    write_atomic(folder / CA_FILE, enrolment.ca_pem.encode(), mode=0o644)
    certificate = enrolment.certificate_pem.encode()
    write_atomic(folder / CERTIFICATE_FILE, certificate, mode=0o644)
    write_atomic(folder / ENROLMENT_FILE, enrolment.encode())


def claim_at(shard: ListedShard, secret: str, *, expires_ms: int) -> Claim:
    """Return the claim by which a doorbell enrols at a listed shard."""
    return Claim(
        relay_url=shard.relay_url, secret=secret, ca_sha256=shard.ca_sha256, expires_ms=expires_ms
    )


def check_shard_enrolment(enrolment: Enrolment, shard: ListedShard) -> None:
    """Raise AnswerRefused unless certificates are renewed at the listed shard too."""
    if enrolment.relay_url.rstrip("/") != shard.relay_url:
        raise AnswerRefused("the shard's relay names another address than the directory")


def check_enrolment(enrolment: Enrolment, claim: Claim, keys: DeviceKeys) -> None:
    """Raise AnswerRefused unless the answer is from the pinned CA and for this doorbell."""
    try:
        ca = x509.load_pem_x509_certificate(enrolment.ca_pem.encode())
        certificate = x509.load_pem_x509_certificate(enrolment.certificate_pem.encode())
        evidence = x509.load_pem_x509_certificate(enrolment.evidence_certificate_pem.encode())
    except (ValueError, x509.InvalidVersion) as error:
        raise AnswerRefused(f"the relay's answer lacks a certificate: {error}") from error
    if ca.fingerprint(hashes.SHA256()).hex() != claim.ca_sha256:
        raise AnswerRefused("the relay answered with another CA than the claim names")
    for one, usage in (
        (certificate, ExtendedKeyUsageOID.CLIENT_AUTH),
        (evidence, ExtendedKeyUsageOID.EMAIL_PROTECTION),
    ):
        check_certificate(one, ca, usage, keys)
    if enrolment.device != keys.device:
        raise AnswerRefused("the certificate is for another doorbell's name")
    check_relay_url(enrolment.relay_url)
    named = [enrolment.relay_url, enrolment.log_url, enrolment.bucket_origin]
    _check_not_turned_inwards(claim.relay_url, named)


def _check_not_turned_inwards(relay_url: str, urls: Iterable[str]) -> None:
    """Raise AnswerRefused if a relay that is elsewhere sends the doorbell to itself."""
    if is_this_machine(httpx2.URL(relay_url).host):
        return
    try:
        hosts = [httpx2.URL(url).host for url in urls]
    except httpx2.InvalidURL as error:
        raise AnswerRefused(f"the relay's answer has no address: {error}") from error
    if any(map(is_this_machine, hosts)):
        raise AnswerRefused(
            "the relay answered that it, its logs or its bucket are on this very doorbell: its "
            "operator must set public addresses"
        )


def check_certificate(
    certificate: x509.Certificate,
    ca: x509.Certificate,
    usage: x509.ObjectIdentifier,
    keys: DeviceKeys,
) -> None:
    """Raise AnswerRefused unless `ca` signed it for this doorbell's key and name, and this use."""
    try:
        certificate.verify_directly_issued_by(ca)
    except (InvalidSignature, ValueError, TypeError) as error:
        raise AnswerRefused("the certificate isn't signed by the claim's CA") from error
    try:
        spki = certified_spki(certificate)
    except WireError as error:
        raise AnswerRefused(f"the certificate's key is {error}") from error
    if spki != keys.signer.spki:
        raise AnswerRefused("the certificate is for another key than this doorbell's")
    names = [str(item.value) for item in certificate.subject]
    is_named = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if names != [keys.device] or not is_named:
        raise AnswerRefused("the certificate is for another doorbell's name")
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError) as error:
        raise AnswerRefused("a certificate doesn't say what it is for") from error
    if list(usages) != [usage]:
        raise AnswerRefused("a certificate is for another use than its own")


def check_relay_url(text: str) -> None:
    """Raise ClaimRefused unless the claim's secret goes over TLS, or stays on this machine."""
    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL as error:
        raise ClaimRefused("relay_url", f"{text!r} isn't an address ({error})") from error
    if url.scheme == "https" and url.host:
        return
    if url.scheme == "http" and is_this_machine(url.host):
        return
    raise ClaimRefused("relay_url", f"{text!r} must begin with https:// (http:// only to itself)")
