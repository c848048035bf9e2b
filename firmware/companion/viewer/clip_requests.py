"""What is asked of a doorbell's recordings over an open line: the list, and single clips.

What comes back is parsed strictly; a clip counts only with a manifest that the doorbell signed.
"""

import asyncio
import json
from typing import Annotated, Protocol, TypeVar

import msgspec

from firmware.companion.viewer.errors import ConnectionBroken, NothingThere, WrongRecording
from firmware.protocol.encoding import Digest, Id, WireError, sha256_hex
from firmware.protocol.footage import ClipManifest, SignedManifest, check_manifest

CLIPS_LABEL = "clips"
MAX_CLIP_BYTES = 256 * 1024 * 1024
MAX_LISTED = 200
CLIP_SILENCE_S = 20.0

T = TypeVar("T")


class ClipConnection(Protocol):
    """The open line (`firmware.companion.viewer.connection.DoorConnection`).

    Both raise ConnectionBroken.
    """

    def send_json(self, message: dict[str, object], /) -> None:
        """Send one message."""
        ...

    async def receive(self) -> str | bytes:
        """Return the next message."""
        ...


class ClipLine(msgspec.Struct, frozen=True, kw_only=True):
    """One recording in the doorbell's list."""

    clip_id: Id
    started_ms: int | None
    duration_ms: int
    manifest_digest: Digest


class _ClipList(msgspec.Struct, frozen=True, kw_only=True):
    clips: Annotated[list[ClipLine], msgspec.Meta(max_length=MAX_LISTED)]


class _ClipHead(msgspec.Struct, frozen=True, kw_only=True):
    clip: Id
    size: Annotated[int, msgspec.Meta(ge=1, le=MAX_CLIP_BYTES)]
    digest: str
    manifest: SignedManifest


class FetchedManifest(msgspec.Struct, frozen=True, kw_only=True):
    """A clip's manifest, as signed and as read."""

    signed: SignedManifest
    manifest: ClipManifest


async def list_clips(
    line: ClipConnection, *, limit: int = MAX_LISTED, skip: int = 0
) -> list[ClipLine]:
    """Return at most `limit` recordings, newest first, after `skip` newer ones."""
    wish: dict[str, object] = {"list": True}
    if (limit, skip) != (MAX_LISTED, 0):
        wish |= {"limit": limit, "skip": skip}
    line.send_json(wish)
    return _parsed(_ClipList, await _soon(line)).clips


async def fetch_clip(
    line: ClipConnection, clip_id: str, digest: str, spki: bytes, data: bytearray
) -> FetchedManifest:
    """Fetch the rest of a recording (MP4) after what `data` holds of it, and append it to `data`.

    Raises a ViewerError: WrongRecording unless its manifest has this digest and `spki` signed it.
    What came before an error stays in `data`, so that the next try goes on from there.
    """
    wish: dict[str, object] = {"get": clip_id}
    line.send_json(wish | {"from": len(data)} if data else wish)
    head = _parsed(_ClipHead, await _soon(line))
    if head.clip != clip_id or sha256_hex(head.manifest.manifest.encode()) != digest:
        raise WrongRecording("another recording came than was asked for")
    try:
        manifest = check_manifest(head.manifest, spki)
    except WireError as error:
        raise WrongRecording(str(error)) from error
    if manifest.clip_id != clip_id or len(data) > head.size:
        raise WrongRecording("another recording came than was asked for")
    while len(data) < head.size:
        message = await _soon(line)
        if not isinstance(message, bytes) or len(data) + len(message) > head.size:
            raise ConnectionBroken
        data += message
    _parsed(_End, await _soon(line))
    return FetchedManifest(signed=head.manifest, manifest=manifest)


class _End(msgspec.Struct, frozen=True, kw_only=True):
    end: Id


async def _soon(line: ClipConnection) -> str | bytes:
    try:
        async with asyncio.timeout(CLIP_SILENCE_S):
            return await line.receive()
    except TimeoutError as error:
        raise ConnectionBroken("the doorbell sends nothing more; try again") from error


def _parsed(kind: type[T], message: str | bytes) -> T:
    try:
        said = json.loads(message)
        if isinstance(said, dict) and "error" in said:
            raise NothingThere(str(said["error"])[:200])
        return msgspec.json.decode(message, type=kind)
    except (ValueError, msgspec.DecodeError) as error:
        raise ConnectionBroken(
            "the doorbell said something that this program doesn't know"
        ) from error
