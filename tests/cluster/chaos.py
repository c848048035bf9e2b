"""What is done to the cluster, one thing at a time, and how it is set right again.

Nothing is done to two parts at once: the next kill waits until the last one's part serves again.
"""

import asyncio
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.cluster.processes import Server
from tests.cluster.servers import Cluster

STOPPED_S = 30.0
DATABASE = "database"
"""Its primary is killed and its standby promoted; once, as nobody makes a new standby here."""


@dataclass(frozen=True, kw_only=True)
class Blow:
    """One thing that is done: to what, and how."""

    name: str
    how: signal.Signals = signal.SIGKILL

    def __str__(self) -> str:
        return f"{self.how.name} {self.name}"


async def strike(cluster: Cluster, blow: Blow, say: Callable[[str], None]) -> None:
    """Do one thing, set it right, and return once everything serves again."""
    began = time.monotonic()
    if blow.name == DATABASE:
        say("killing the primary, promoting the standby")
        cluster.pair.kill_primary()
        await asyncio.to_thread(cluster.pair.promote)
    else:
        server = cluster.servers[blow.name]
        say(str(blow))
        await asyncio.to_thread(server.kill, blow.how)
        await _set_right(server, blow)
        await asyncio.to_thread(server.wait_until_ready)
    say(f"{blow.name} serves again after {time.monotonic() - began:.1f} s")


async def _set_right(server: Server, blow: Blow) -> None:
    if blow.how == signal.SIGSTOP:
        await asyncio.sleep(STOPPED_S)
        server.kill(signal.SIGCONT)
        return
    await asyncio.sleep(2)  # as a supervisor does
    server.start()
