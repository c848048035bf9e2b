"""Senders of live view as processes, for benchmarks that compare them (tests/bench/peers)."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.bench.children import REPOSITORY, Child
from tests.rigs.viewing import Viewer

log = logging.getLogger(__name__)

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
ANSWER_S = 60.0
"""Within this a sender does what it is told, or hangs."""
TRY_S = 90.0
"""Longer than any join and what is watched after it."""
Given = TypeVar("Given")
PEERS_PYTHON = REPOSITORY / ".state" / "peers" / "bin" / "python"


def lacks_peers() -> str:
    """Say why the peers in C++ and Rust can't be measured here; "" if they can."""
    if not PEERS_PYTHON.exists():
        return "there is no environment for them (.ci/peers makes it)"
    modules = "import libdatachannel, reactor_webrtc"
    done = subprocess.run([PEERS_PYTHON, "-c", modules], capture_output=True, check=False)
    return "" if done.returncode == 0 else "their environment is broken (.ci/peers makes it)"


def beside(peer: str, runs: Sequence[object]) -> str:
    """Say, for a result's note, why this peer has no number beside Doorward's; "" if it has."""
    if runs:
        return ""
    why = lacks_peers() if peer in _IN_PEERS else ""
    return f" {peer} isn't beside it: {why or 'no run of it gave a number'}."


def sender_child(name: str, film: Path, *, prefix: Sequence[str] = ()) -> Child:
    """Start a sender with the film in its camera, behind a command if one is given."""
    python = PEERS_PYTHON if name in _IN_PEERS else sys.executable
    module = f"tests.bench.peers.{_MODULES[name]}"
    return Child(module, film, python=python, prefix=prefix)


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
            self._children[name].hear("is_ready", within_s=ANSWER_S)

    async def ask(self, offer: str) -> str:
        """Implement `tests.rigs.viewing.Ask`."""
        return str(await self._hear("answer", offer=offer))

    async def let_go(self) -> None:
        """End its sessions."""
        await self._hear("left", leave=True)
        if self._asked in _FOR_ONE_VIEWER:
            self._children.pop(self._asked).end()

    async def tried(
        self, name: str, viewer: Viewer, watch: Callable[[], Awaitable[Given]]
    ) -> Given | None:
        """Let this one be watched, at a second try if the first fails; None if both do.

        After a failure it is started anew, and the viewer's page too: the others' runs go on.
        """
        for _ in range(2):
            try:
                async with asyncio.timeout(TRY_S):
                    self.choose(name)
                    return await watch()
            except Exception:  # the supervisor: whatever it was, it ends this run alone
                log.warning("a run of %s failed", name, exc_info=True)
                if name in self._children:
                    self._children.pop(name).end()
                await viewer.page.reload()
        return None

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
        return await asyncio.to_thread(child.hear, word, within_s=ANSWER_S)


@contextmanager
def sending(names: Sequence[str], film: Path, *, prefix: Sequence[str] = ()) -> Iterator[Senders]:
    """Run the first of these senders until the end of the block, and others once chosen."""

    def start(name: str) -> Child:
        if name not in names:
            raise KeyError(name)
        return sender_child(name, film, prefix=prefix)

    senders = Senders(start)
    try:
        senders.choose(names[0])
        yield senders
    finally:
        senders.end()
