"""A data channel of requests: a viewer's requests are answered in order.

Serving only: taking in order, and the answer where a wish fails. What may be wished and what comes
of it is said by the channels that are made of this: control_channel.py, reply_channel.py and
asked_channel.py. (clip_channel.py has answers of an older form.) No aiortc here.
"""

import logging
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from firmware.live.data_channel import Channel, ChannelClosed, ChannelEnd
from firmware.live.errors import LiveError
from firmware.protocol.encoding import WireError

logger = logging.getLogger(__name__)

W = TypeVar("W")


class WishChannel(ABC, Generic[W]):
    """Serves one viewer's data channel until cancelled; no message can break it."""

    def __init__(self) -> None:
        self._end = ChannelEnd()
        self._end.overflowed.add(self._overflow)

    def attach(self, channel: Channel) -> bool:
        """Take the first channel that the peer opens; return False for any further one."""
        return self._end.attach(channel)

    async def serve(self) -> None:
        """Handle requests in order; each is granted, or answered by an error."""
        while True:
            message = await self._end.next()
            try:
                await self._grant(self._parse(message))
            except WireError as error:
                self.send_error("bad_form", str(error))
            except LiveError as error:
                self.send_error(error.reason, error.detail)
            except TimeoutError:
                self.send_error("timeout", "the doorbell didn't manage it in time; try again")
            except ChannelClosed:
                return
            except Exception:  # the supervisor of wishes: pictures go on, whatever a wish broke
                logger.exception("a viewer's request failed in %s", type(self).__name__)
                self.send_error("fault", "the doorbell failed at it; its log says why")

    def send_error(self, reason: str, detail: str) -> None:
        """Send why a request failed, unless the channel is full."""
        if not self._end.is_flooded:
            self._end.send_json({"type": "error", "reason": reason, "detail": detail})

    @abstractmethod
    def _parse(self, message: str | bytes) -> W:
        """Return the request in one message of the peer, or raise WireError."""

    @abstractmethod
    async def _grant(self, wish: W) -> None:
        """Carry out a request and answer it, or raise an error that `serve` answers."""

    def _overflow(self) -> None:
        self.send_error("too_many", "too many messages at once; wait for the answers")
