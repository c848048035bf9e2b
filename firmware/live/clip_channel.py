"""The data channel "clips": its messages, and their back-pressure.

The peer sends JSON texts of at most 4 KB:
{"list": true, "limit": n, "skip": m} → {"clips": [...]}, newest first, after m newer ones;
                                      without them the newest 200
{"get": clip id, "from": offset}    → {"clip", "size", "from", "digest", "manifest", "started_ms",
                                      "dating": how that time is known}, binary chunks
                                      of 16 KiB from that byte on, {"end": clip id}
{"play": clip id, "from_ms": n}     → the clip over the video track: {"playing", "from_ms",
                                      "duration_ms"}, {"playing", "at_ms"} at each key frame,
                                      {"played": clip id} at its end
{"stop": true}                      → ends what is being sent or played: {"stopped": true}
Anything else is answered by {"error": text}. One answer at a time, in order; a `stop` doesn't wait
for the end of a download. No aiortc here: `Channel` is what is used of an RTCDataChannel.
"""

import logging
from dataclasses import asdict
from typing import Annotated, Literal, Protocol

import msgspec

from firmware.live.data_channel import MAX_MESSAGE_BYTES, Channel, ChannelClosed, ChannelEnd
from firmware.live.errors import LiveError
from firmware.live.feed import ClipFile, ClipGops, ClipSource
from firmware.protocol.encoding import Document, Id, WireError, decode

logger = logging.getLogger(__name__)

CLIPS_LABEL = "clips"
MAX_LISTED_CLIPS = 200
CHUNK_BYTES = 16 * 1024
MAX_CLIP_MS = 24 * 3600 * 1000

Unset = msgspec.UnsetType
Position = Annotated[int, msgspec.Meta(ge=0, le=2**40)]
Limit = Annotated[int, msgspec.Meta(ge=1, le=MAX_LISTED_CLIPS)]
Skip = Annotated[int, msgspec.Meta(ge=0, le=10**6)]
Moment = Annotated[int, msgspec.Meta(ge=0, le=MAX_CLIP_MS)]


class Wish(
    Document,
    frozen=True,
    kw_only=True,
    rename={"wants_list": "list", "from_byte": "from", "must_stop": "stop"},
):
    """A message of the peer: exactly one of `list`, `get`, `play` and `stop`."""

    wants_list: Literal[True] | Unset = msgspec.UNSET
    limit: Limit | Unset = msgspec.UNSET
    skip: Skip | Unset = msgspec.UNSET
    get: Id | Unset = msgspec.UNSET
    from_byte: Position | Unset = msgspec.UNSET
    play: Id | Unset = msgspec.UNSET
    from_ms: Moment | Unset = msgspec.UNSET
    must_stop: Literal[True] | Unset = msgspec.UNSET


class Player(Protocol):
    """The player of clips over the video track of this channel's viewer."""

    def play(self, clip_id: str, reel: ClipGops) -> None:
        """Play the clip instead of the current stream; WireError where there is no video."""
        ...

    def stop(self) -> None:
        """Return to the previous stream, if a clip is playing."""
        ...


def parse_wish(message: str | bytes) -> Wish:
    """Parse one message of the peer, or raise WireError."""
    if not isinstance(message, str):
        raise WireError("send a JSON text, not bytes")
    wish = decode(Wish, message.encode("utf-8", "replace"), max_bytes=MAX_MESSAGE_BYTES)
    wishes = (wish.wants_list, wish.get, wish.play, wish.must_stop)
    if sum(one is not msgspec.UNSET for one in wishes) != 1:
        raise WireError('send exactly one of "list", "get", "play" and "stop"')
    if (wish.limit, wish.skip) != (msgspec.UNSET,) * 2 and wish.wants_list is msgspec.UNSET:
        raise WireError('"limit" and "skip" go with "list"')
    if wish.from_byte is not msgspec.UNSET and wish.get is msgspec.UNSET:
        raise WireError('"from" goes with "get"')
    if wish.from_ms is not msgspec.UNSET and wish.play is msgspec.UNSET:
        raise WireError('"from_ms" goes with "play"')
    return wish


class ClipChannel:
    """Serves one viewer's data channel until cancelled."""

    def __init__(self, shelf: ClipSource, player: Player) -> None:
        self._shelf = shelf
        self._player = player
        self._end = ChannelEnd()
        self._end.overflowed.add(self._overflow)

    def attach(self, channel: Channel) -> bool:
        """Take the first channel that the peer opens; return False for any further one."""
        return self._end.attach(channel)

    async def serve(self) -> None:
        """Answer messages in order."""
        while True:
            message = await self._end.next()
            try:
                await self._answer(parse_wish(message))
            except WireError as error:
                self._end.send_json({"error": str(error)})
            except LiveError as error:
                self._end.send_json({"error": error.detail})
            except ChannelClosed:
                return
            except Exception:  # the supervisor of wishes: pictures go on, whatever a wish broke
                logger.exception("a viewer's request for clips failed")
                self._end.send_json({"error": "the doorbell failed at it; its log says why"})

    def send_position(self, clip_id: str, at_ms: int) -> None:
        """Send the playback position, unless the channel is full."""
        if not self._end.is_flooded:
            self._end.send_json({"playing": clip_id, "at_ms": at_ms})

    def send_played(self, clip_id: str) -> None:
        """Send that a clip was played to its end."""
        self._end.send_json({"played": clip_id})

    async def _answer(self, wish: Wish) -> None:
        if isinstance(wish.get, str):
            from_byte = wish.from_byte if isinstance(wish.from_byte, int) else 0
            await self._get(wish.get, from_byte)
        elif isinstance(wish.play, str):
            await self._play(wish.play, wish.from_ms if isinstance(wish.from_ms, int) else 0)
        elif wish.must_stop is True:
            self._player.stop()
            self._end.send_json({"stopped": True})
        else:
            limit = wish.limit if isinstance(wish.limit, int) else MAX_LISTED_CLIPS
            lines = self._shelf.newest(limit, wish.skip if isinstance(wish.skip, int) else 0)
            self._end.send_json({"clips": [asdict(line) for line in lines]})

    async def _play(self, clip_id: str, from_ms: int) -> None:
        reel = await self._shelf.read_gops(clip_id, from_ms)
        if reel is None:
            raise WireError("no clip of that id is kept here")
        said = {"playing": clip_id, "from_ms": reel.from_ms, "duration_ms": reel.duration_ms}
        self._player.play(clip_id, reel)
        self._end.send_json(said)

    async def _get(self, clip_id: str, from_byte: int) -> None:
        clip = await self._shelf.plain_mp4(clip_id)
        if clip is None:
            raise WireError("no clip of that id is kept here")
        if from_byte > len(clip.mp4):
            raise WireError(f"the clip has {len(clip.mp4)} bytes")
        self._end.send_json(
            {
                "clip": clip_id,
                "size": len(clip.mp4),
                "from": from_byte,
                "digest": clip.manifest_digest,
                "manifest": msgspec.to_builtins(clip.manifest),
                "started_ms": clip.started_ms,
                "dating": clip.dating,
            }
        )
        if await self._send_bytes(clip, from_byte):
            self._end.send_json({"end": clip_id})
        else:
            self._end.send_json({"stopped": True})

    async def _send_bytes(self, clip: ClipFile, from_byte: int) -> bool:
        """Send the clip from this byte on; False if the peer stopped it."""
        view = memoryview(clip.mp4)
        for begin in range(from_byte, len(view), CHUNK_BYTES):
            await self._end.wait_for_room()
            if self._end.take_if(_is_stop):
                return False
            self._end.send(bytes(view[begin : begin + CHUNK_BYTES]))
        return True

    def _overflow(self) -> None:
        self._end.send_json({"error": "too many messages at once; wait for the answers"})


def _is_stop(message: str | bytes) -> bool:
    try:
        return parse_wish(message).must_stop is True
    except WireError:
        return False
