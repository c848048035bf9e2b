"""What carries packets along a line: `python -m tests.rigs.line_process DEVICE SEED PID PID`.

Makes a TUN device in the namespaces of both processes, the door's and the viewer's. Says a line
when they are there. Hears {"to_viewer": Way, "to_door": Way}, or {} to only be asked; answers each
with its counts. Ends with its input.
"""

import ctypes
import fcntl
import json
import os
import random
import select
import struct
import sys
import time
from collections import deque
from typing import Any

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
MTU_BYTES = 2048
UDP = 17
FAR = 3600.0


class Direction:
    """One way: reads one device, writes the other, in order."""

    def __init__(self, name: str, read_from: int, write_to: int, dice: random.Random) -> None:
        self.name = name
        self.read_from = read_from
        self.passed = self.lost = 0
        self._write_to = write_to
        self._dice = dice
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._free_s = 0.0
        self.set({"delay_s": 0.0, "loss": 0.0, "rate_bps": None, "queue_s": 0.0})

    def set(self, way: dict[str, Any]) -> None:  # Any: JSON's values
        """Change it for the packets that come from now on."""
        self._delay_s, self._loss = way["delay_s"], way["loss"]
        self._rate_bps, self._queue_s = way["rate_bps"], way["queue_s"]

    @property
    def due_s(self) -> float:
        """When the next packet arrives."""
        return self._waiting[0][0] if self._waiting else FAR + time.monotonic()

    def take(self) -> None:
        """Read all packets that are there."""
        while True:
            try:
                packet = os.read(self.read_from, MTU_BYTES)
            except BlockingIOError:
                return
            self._enter(packet, time.monotonic())

    def deliver(self) -> None:
        """Write all packets that have arrived."""
        now_s = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now_s:
            try:
                os.write(self._write_to, self._waiting.popleft()[1])
                self.passed += 1
            except OSError:  # nobody's device is up yet
                self.lost += 1

    def _enter(self, packet: bytes, now_s: float) -> None:
        is_udp = packet[0] >> 4 == 4 and packet[9] == UDP
        if is_udp and self._dice.random() < self._loss:
            self.lost += 1
            return
        begin_s = max(now_s, self._free_s) if self._rate_bps else now_s
        if begin_s - now_s > self._queue_s and self._rate_bps:
            self.lost += 1
            return
        takes_s = len(packet) * 8 / self._rate_bps if self._rate_bps else 0.0
        self._free_s = begin_s + takes_s
        self._waiting.append((self._free_s + self._delay_s, packet))


def enter(namespace: int) -> None:
    """Let this thread make its sockets in another network namespace from now on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def main() -> None:
    device, seed, *pids = sys.argv[1:]
    door, viewer = (_tun(int(pid), device) for pid in pids)
    dice = random.Random(int(seed))
    to_viewer = Direction("to_viewer", door, viewer, dice)
    to_door = Direction("to_door", viewer, door, dice)
    print(flush=True)
    _carry([to_viewer, to_door])


def _carry(directions: list[Direction]) -> None:
    by_device = {direction.read_from: direction for direction in directions}
    while True:
        wait_s = min(direction.due_s for direction in directions) - time.monotonic()
        spoken = sys.stdin.fileno()
        ready, _, _ = select.select([spoken, *by_device], [], [], max(0.0, wait_s))
        for source in ready:
            if source != spoken:
                by_device[source].take()
            elif not _hear(directions):
                return
        for direction in directions:
            direction.deliver()


def _hear(directions: list[Direction]) -> bool:
    """Do as is said, and answer; False at the end."""
    line = sys.stdin.readline()
    if not line:
        return False
    ways = json.loads(line)
    for direction in directions:
        if direction.name in ways:
            direction.set(ways[direction.name])
    counts = {f"{d.name}_passed": d.passed for d in directions}
    counts |= {f"{d.name}_lost": d.lost for d in directions}
    print(json.dumps(counts), flush=True)
    return True


def _tun(pid: int, device: str) -> int:
    """Make a TUN device in that process's namespace; return its descriptor."""
    with open(f"/proc/{pid}/ns/net") as namespace:  # noqa: PTH123  # setns(2) wants a descriptor
        enter(namespace.fileno())
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI))
    return descriptor


if __name__ == "__main__":
    main()
