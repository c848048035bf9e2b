"""Senders of live view as processes, for benchmarks that compare them (tests/bench/peers)."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.children import REPOSITORY, Child

DOORWARD = "Doorward"
AIORTC = "stock aiortc"
LIBDATACHANNEL = "libdatachannel-py"
REACTOR = "reactor-webrtc"
_MODULES = {
    DOORWARD: "doorward_sender",
    AIORTC: "aiortc_sender",
    LIBDATACHANNEL: "libdatachannel_sender",
    REACTOR: "reactor_sender",
}
_IN_PEERS = (LIBDATACHANNEL, REACTOR)
_FOR_ONE_VIEWER = (REACTOR,)
PEERS_PYTHON = REPOSITORY / ".state" / "peers" / "bin" / "python"


def lacks_peers() -> str:
    """Say why the peers in C++ and Rust can't be measured here; "" if they can."""
    if not PEERS_PYTHON.exists():
        return "there is no environment for them (.ci/peers makes it)"
    modules = "import libdatachannel, reactor_webrtc"
    done = subprocess.run([PEERS_PYTHON, "-c", modules], capture_output=True, check=False)
    return "" if done.returncode == 0 else "their environment is broken (.ci/peers makes it)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """One picture as the camera handed it on (monotonic clock)."""

    number: int
    at_ns: int

    @property
    def at_s(self) -> float:
        """The same in seconds."""
        return self.at_ns / 1e9


class Senders:
    """Some senders that run, each with the film in its camera; one is asked at a time."""

    def __init__(self, start: Callable[[str], Child]) -> None:
        self._start = start
        self._children: dict[str, Child] = {}
        self._asked = ""

    def choose(self, name: str) -> None:
        """Let this one answer the next offers; it is started if it doesn't run."""
        self._asked = name
        if name not in self._children:
            self._children[name] = self._start(name)
            self._children[name].hear("is_ready")

    async def ask(self, offer: str) -> str:
        """Implement `tests.rigs.viewing.Ask`."""
        return str(await self._hear("answer", offer=offer))

    async def let_go(self) -> None:
        """End its sessions."""
        await self._hear("left", leave=True)
        if self._asked in _FOR_ONE_VIEWER:
            self._children.pop(self._asked).end()

    async def handed(self) -> list[Handed]:
        """Return what its camera handed on since the last call."""
        handed: list[list[int]] = await self._hear("handed", handed=True)
        return [Handed(number=number, at_ns=at_ns) for number, at_ns in handed]

    def end(self) -> None:
        """End them all."""
        for child in self._children.values():
            child.end()

    async def _hear(self, word: str, **words: object) -> Any:  # Any: JSON's values
        child = self._children[self._asked]
        child.say(**words)
        return await asyncio.to_thread(child.hear, word)


@contextmanager
def sending(names: Sequence[str], film: Path, *, prefix: Sequence[str] = ()) -> Iterator[Senders]:
    """Run these senders, behind a command if one is given, until the end of the block."""

    def start(name: str) -> Child:
        python = PEERS_PYTHON if name in _IN_PEERS else sys.executable
        module = f"tests.bench.peers.{_MODULES[name]}"
        return Child(module, film, python=python, prefix=prefix)

    senders = Senders(start)
    try:
        for name in names:
            senders.choose(name)
        yield senders
    finally:
        senders.end()
