"""A data channel without a network; `takes` tells whether its peer takes what is sent."""

from collections.abc import Callable


class FakeChannel:
    """Implements `firmware.live.data_channel.Channel`."""

    def __init__(self, *, takes: bool = True) -> None:
        self.bufferedAmount = 0
        self.bufferedAmountLowThreshold = 0
        self.readyState = "open"
        self.sent: list[bytes | str] = []
        self._takes = takes
        self._handlers: dict[str, Callable] = {}

    def send(self, data: bytes | str) -> None:
        self.sent.append(data)
        if not self._takes:
            self.bufferedAmount += len(data)

    def on(self, event: str, f: Callable) -> None:
        self._handlers[event] = f

    def deliver(self, message: str | bytes) -> None:
        """Let the peer say something."""
        self._handlers["message"](message)

    def close(self) -> None:
        """Let the peer go."""
        self.readyState = "closed"
        self._handlers["close"]()
