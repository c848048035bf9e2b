"""Client of the witnesses (c2sp.org/tlog-witness): asks all at once to cosign a checkpoint.

What a witness answers is checked before it counts; one that is away, slow or wrong costs itself
its cosignature. It says itself which size it signed last, so nothing about it is kept.
"""

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import httpx2

from firmware.protocol.encoding import WireError
from firmware.protocol.tlog import witness as wire
from firmware.protocol.tlog.checkpoint import cosignature_time_ms
from firmware.protocol.tlog.merkle import Tree
from firmware.protocol.tlog.policy import Policy, Witness
from firmware.protocol.tlog.signed_note import NoteSignature, parse_note, parse_signatures
from relay.custody.errors import LogContradicts, LogUnavailable

TIMEOUT_S = 5.0
MAX_ANSWER_BYTES = 16 * 1024
PLAIN = {"accept-encoding": "identity"}
"""A few compressed bytes could fill the memory."""
LATE_S = 0.25
"""How long the others are waited for once there is a quorum."""

log = logging.getLogger(__name__)


class WitnessUnusable(Exception):
    """A witness didn't cosign; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosignature:
    """One witness's signature and its time."""

    witness: str
    signature: NoteSignature
    time_ms: int


class Witnesses:
    """The witnesses that a policy names, each with a URL."""

    def __init__(self, policy: Policy, *, http: httpx2.AsyncClient | None = None) -> None:
        self._policy = policy
        self._http = http or httpx2.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False)
        self._last_sizes: dict[tuple[str, str], int] = {}

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def cosign(self, note: bytes, tree: Tree, size: int) -> bytes:
        """Return the note with a quorum of cosignatures, or raise LogUnavailable."""
        origin = parse_note(note).text.split(b"\n", 1)[0].decode()
        asked = {
            asyncio.create_task(
                self._ask(witness, origin, note, tree, size), name=f"witness {witness.name}"
            )
            for witness in self._policy.witnesses
        }
        found: list[Cosignature] = []
        reasons: list[str] = []
        try:
            async with asyncio.timeout(3 * TIMEOUT_S) as limit:
                for task in asyncio.as_completed(asked):
                    try:
                        found.append(await task)
                    except WitnessUnusable as error:
                        reasons.append(str(error))
                    if self._policy.is_met_by({one.witness for one in found}):
                        now = asyncio.get_running_loop().time()
                        limit.reschedule(min(limit.when() or now, now + LATE_S))
        except TimeoutError:
            pass
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        return self._joined(origin, note, found, reasons)

    async def last_size(self, witness: Witness, note: bytes, tree: Tree, size: int) -> int:
        """Return the size that a witness signed last, or raise WitnessUnusable, LogContradicts.

        `note` is a checkpoint of `size` that was decided on: to sign it once more harms nobody.
        """
        status, body = await self._post(witness, size, note, tree, size)
        if status == 409:
            return _size_in(witness, body)
        if status == 422:
            raise LogContradicts(
                f"{witness.name} has signed another tree of {size} entries: {_words(body)}"
            )
        if status != 200:
            raise WitnessUnusable(f"{witness.name} answered {status}: {_words(body)}")
        _cosignature_in(witness, note, body)
        return size

    async def last_note(self, witness: Witness, origin: str) -> bytes | None:
        """Return the checkpoint that a witness signed last, unverified, if the witness shows it."""
        if witness.url is None:
            return None
        name = hashlib.sha256(origin.encode()).hexdigest()
        url = f"{witness.url.rstrip('/')}/{name}/checkpoint"
        try:
            async with self._http.stream("GET", url, headers=PLAIN) as answer:
                body = bytearray()
                async for chunk in answer.aiter_raw():
                    body += chunk
                    if len(body) > MAX_ANSWER_BYTES:
                        return None
                return bytes(body) if answer.status_code == 200 else None
        except (httpx2.HTTPError, httpx2.InvalidURL):
            return None

    def _joined(
        self, origin: str, note: bytes, found: Sequence[Cosignature], reasons: Sequence[str]
    ) -> bytes:
        for reason in reasons:
            log.warning("log %s: %s", origin, reason)
        if not self._policy.is_met_by({one.witness for one in found}):
            why = "; ".join(reasons) or "they didn't answer in time"
            raise LogUnavailable(
                f"{len(found)} of {len(self._policy.witnesses)} witnesses cosigned {origin}, "
                f"which is no quorum: {why}"
            )
        joined = parse_note(note).with_signatures(*(one.signature for one in found)).encode()
        self._policy.check(joined, origin=origin)  # what we publish is what others accept
        return joined

    async def _ask(
        self, witness: Witness, origin: str, note: bytes, tree: Tree, size: int
    ) -> Cosignature:
        known = (witness.name, origin)
        old_size = min(self._last_sizes.get(known, 0), size)
        for _ in range(3):  # a witness that others of ours ask too may be a step further
            status, body = await self._post(witness, old_size, note, tree, size)
            if status != 409:
                break
            old_size = _size_in(witness, body)
            if old_size > size:
                raise WitnessUnusable(
                    f"{witness.name} has signed a tree of {old_size} entries, and here are {size}: "
                    "was the database restored from an old backup?"
                )
        if status != 200:
            raise WitnessUnusable(f"{witness.name} answered {status}: {_words(body)}")
        cosignature = _cosignature_in(witness, note, body)
        self._last_sizes[known] = size
        return cosignature

    async def _post(
        self, witness: Witness, old_size: int, note: bytes, tree: Tree, size: int
    ) -> tuple[int, bytes]:
        if witness.url is None:
            raise WitnessUnusable(f"the policy gives no address of {witness.name}")
        hashes = tuple(tree.consistency_proof(old_size, size))
        request = wire.AddCheckpoint(old_size=old_size, hashes=hashes, note=note).encode()
        url = witness.url.rstrip("/") + wire.PATH
        body = bytearray()
        try:
            async with self._http.stream("POST", url, content=request, headers=PLAIN) as answer:
                async for chunk in answer.aiter_raw():
                    body += chunk
                    if len(body) > MAX_ANSWER_BYTES:
                        raise WitnessUnusable(f"the answer of {witness.name} is too long")
                return answer.status_code, bytes(body)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            what = str(error) or type(error).__name__
            raise WitnessUnusable(f"{witness.name} doesn't answer: {what}") from error


def _size_in(witness: Witness, body: bytes) -> int:
    text = body.strip()
    if not text.isdigit() or len(text) > 18:
        raise WitnessUnusable(f"{witness.name} answered 409 without a size")
    return int(text)


def _cosignature_in(witness: Witness, note: bytes, body: bytes) -> Cosignature:
    text = parse_note(note).text
    try:
        for signature in parse_signatures(body):
            if signature.is_of(witness.key):
                time_ms = cosignature_time_ms(text, signature, witness.key)
                return Cosignature(witness=witness.name, signature=signature, time_ms=time_ms)
    except WireError as error:
        raise WitnessUnusable(f"{witness.name}: {error}") from error
    raise WitnessUnusable(f"{witness.name} signed with another key than the policy's")


def _words(body: bytes) -> str:
    text = body[:200].decode("utf-8", "replace")
    return "".join(char if char.isprintable() else " " for char in text).strip()
