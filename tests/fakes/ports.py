"""Ports for servers of tests that are told their port before they start.

A port that the kernel would hand out (an ephemeral one) is one that any connection on the machine
may be given between our look and the server's start, or while a server is down that is to come back
on it. These lie below that range, in a part of it that is this worker's own (pytest-xdist), and a
process gets each only once.
"""

import contextlib
import os
import secrets
import socket

BELOW_EPHEMERAL = range(15_000, 32_000)
_given: set[int] = set()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on, and that this process never got before."""
    return free_ports_in_step(1)[0]


def free_ports_in_step(count: int, *, size: int = 1, step: int = 0) -> list[int]:
    """Return the first of `count` successive ports that are free, as are `size` each, `step` apart.

    So many brokers' ports follow from the first one's.
    """
    own = ports_of_worker()
    while True:
        first = secrets.choice(own[: -count - size * step])
        places = [first + at + number * step for at in range(count) for number in range(size)]
        if not _given.isdisjoint(places):
            continue
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in places:
                probe = stack.enter_context(socket.socket())
                probe.bind(("127.0.0.1", port))
            _given.update(places)
            return list(range(first, first + count))


def ports_of_worker() -> range:
    """Return the ports of this worker of pytest-xdist, which those of no other are."""
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    each = len(BELOW_EPHEMERAL) // count
    return BELOW_EPHEMERAL[number * each : (number + 1) * each]
