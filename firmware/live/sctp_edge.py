"""A patch of aiortc's SCTP, which doesn't hold the peer to its receive window: bounded buffers.

A peer that sends pieces of a message that never ends, leaves holes, or opens streams without end
would fill the doorbell's memory, and searching what is held would take the loop's time. Nobody who
means well comes near these limits; who goes beyond is hung up on. tests/firmware/
test_aiortc_seams.py notices when upstream no longer has what this leans on.
"""

import logging
from collections.abc import Callable

from aiortc.rtcsctptransport import DataChunk, RTCSctpTransport

logger = logging.getLogger(__name__)

MAX_HELD_CHUNKS = 2048
"""A window of 1 MiB in pieces of 512 bytes; full packets are twice that."""
MAX_AHEAD_CHUNKS = 1024
"""Behind a hole: a window of full packets is some 900. Each costs aiortc a search of all."""
MAX_STREAMS = 32
"""Three are used; browsers number theirs in twos."""


def bound_incoming(sctp: RTCSctpTransport, on_excess: Callable[[], None]) -> None:
    """Bound the buffers of `sctp` from now on; `on_excess` must end the connection."""
    receive = sctp._receive_data_chunk
    is_over = False

    async def receive_within_limits(chunk: DataChunk) -> None:
        nonlocal is_over
        if not is_over and _has_room(sctp, chunk):
            await receive(chunk)
        elif not is_over:
            is_over = True
            logger.warning("a viewer overran its data channels' receive buffer: hung up")
            on_excess()

    sctp._receive_data_chunk = receive_within_limits  # type: ignore[method-assign]  # no hook


def _has_room(sctp: RTCSctpTransport, chunk: DataChunk) -> bool:
    streams = sctp._inbound_streams
    is_known = chunk.stream_id in streams
    held = sum(len(stream.reassembly) for stream in streams.values())
    return (
        (is_known or len(streams) < MAX_STREAMS)
        and held < MAX_HELD_CHUNKS
        and len(sctp._sack_misordered) < MAX_AHEAD_CHUNKS
        and len(chunk.user_data) <= sctp._advertised_rwnd
    )
