"""What a connection of live view belongs to, where a test or a benchmark has no visit."""

from collections.abc import Callable

from firmware.sound.opus import OpusFeed


class UnwatchedVisit:
    """Implements `firmware.live.session_parts.ConnectedVisit`."""

    def on_connected(self) -> None:
        pass

    def end(self) -> None:
        pass

    def open_channel(self, _label: str, _channel: object) -> bool:
        return True


class ListedVoice:
    """Implements `firmware.live.session_parts.PeerSound`; what is heard goes to a function."""

    opus = None

    def __init__(
        self, hear: Callable[[bytes], object], is_talking: Callable[[], bool] = lambda: True
    ) -> None:
        self._hear = hear
        self._is_talking = is_talking

    @property
    def is_talking(self) -> bool:
        return self._is_talking()

    def play(self, frame: bytes) -> None:
        self._hear(frame)


class SilentViewer:
    """Implements `firmware.live.session_parts.PeerSound`: hears the door, and says nothing."""

    is_talking = False

    def __init__(self, opus: OpusFeed) -> None:
        self.opus = opus

    def play(self, frame: bytes) -> None:
        pass
