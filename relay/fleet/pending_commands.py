"""Commands that wait for a reply: by id, by doorbell, and by when each is published next.

There may be one for each of ten thousand doorbells, so nothing here goes through them all.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from firmware.protocol.commands import Command

FIRST_REPEAT_S = 1.0
LAST_REPEAT_S = 30.0


@dataclass(slots=True, eq=False)
class Pending:
    """One command, encoded; `next_at` is on the loop's clock."""

    command: Command
    data: bytes
    is_kept: bool
    next_at: float = 0.0
    wait_s: float = FIRST_REPEAT_S


class PendingCommands:
    """The commands that one relay repeats."""

    def __init__(self) -> None:
        self._by_id: dict[str, Pending] = {}
        self._by_device: dict[str, dict[str, Pending]] = {}
        # An entry whose time isn't its command's, or whose command is gone, is skipped.
        self._due: list[tuple[float, int, Pending]] = []
        self._places = count()

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, command_id: str) -> bool:
        return command_id in self._by_id

    def find(self, command_id: str) -> Command | None:
        """Return a command that waits, by its id."""
        pending = self._by_id.get(command_id)
        return None if pending is None else pending.command

    def of_device(self, device: str) -> list[Command]:
        """Return a doorbell's commands."""
        return [pending.command for pending in self._by_device.get(device, {}).values()]

    def add(
        self, command: Command, data: bytes | None = None, *, is_kept: bool = True, at: float = 0.0
    ) -> None:
        """Add a command, due at once or at a time; `data` is its encoding, if that was made.

        `is_kept` says that the database has it too.
        """
        data = command.encode() if data is None else data
        pending = Pending(command=command, data=data, is_kept=is_kept)
        self._by_id[command.id] = pending
        self._by_device.setdefault(command.device, {})[command.id] = pending
        self._schedule(pending, at)

    def drop(self, command_id: str) -> None:
        """Forget a command, if it waits."""
        pending = self._by_id.pop(command_id, None)
        if pending is None:
            return
        device = pending.command.device
        del self._by_device[device][command_id]
        if not self._by_device[device]:
            del self._by_device[device]

    def kept(self) -> list[Command]:
        """Return the commands that the database has too."""
        return [pending.command for pending in self._by_id.values() if pending.is_kept]

    def kept_of(self, device: str) -> list[Command]:
        """Return those of one doorbell."""
        waiting = self._by_device.get(device, {}).values()
        return [pending.command for pending in waiting if pending.is_kept]

    def hasten(self, device: str) -> None:
        """Have a doorbell's commands due at once, and repeated soon."""
        for pending in self._by_device.get(device, {}).values():
            pending.wait_s = FIRST_REPEAT_S
            self._schedule(pending, 0.0)

    def take_due(self, now: float) -> Iterator[Pending]:
        """Yield what is due; each counts as published, and is due again after a longer while."""
        while self._due and self._due[0][0] <= now:
            next_at, _, pending = heapq.heappop(self._due)
            if self._is_current(next_at, pending):
                self._schedule(pending, now + pending.wait_s)
                pending.wait_s = min(2 * pending.wait_s, LAST_REPEAT_S)
                yield pending

    def next_at(self) -> float | None:
        """Return when something is due next; None if nothing waits."""
        while self._due and not self._is_current(self._due[0][0], self._due[0][2]):
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def _schedule(self, pending: Pending, next_at: float) -> None:
        pending.next_at = next_at
        heapq.heappush(self._due, (next_at, next(self._places), pending))

    def _is_current(self, next_at: float, pending: Pending) -> bool:
        return pending.next_at == next_at and self._by_id.get(pending.command.id) is pending
