"""The person at the terminal: answers, a confirmation, and Ctrl-C."""

import getpass
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from provisioning.errors import Cancelled, TargetRefused
from provisioning.targets import Disk


class Stoppable(Protocol):
    """Work that a signal's handler may stop: an Event is one, by `set`."""

    def cancel(self) -> None:
        """Stop soon."""
        ...


class StandardTerminal:
    """Questions on standard error, answers from standard input."""

    def ask(self, question: str) -> str:
        """Return what was typed, without what surrounds it."""
        try:
            print(question, end="", file=sys.stderr, flush=True)
            return input().strip()
        except EOFError as error:
            raise Cancelled("stopped; nothing was written") from error

    def ask_secret(self, question: str) -> str:
        """Return what was typed without showing it."""
        try:
            return getpass.getpass(question, stream=sys.stderr)
        except EOFError as error:
            raise Cancelled("stopped; nothing was written") from error

    def tell(self, text: str) -> None:
        """Show a line."""
        print(text, file=sys.stderr)


def is_there() -> bool:
    """Return whether somebody is there to answer."""
    return sys.stdin.isatty()


def confirm(disk: Disk) -> None:
    """Have a person confirm; an unusually large disk by typing its model."""
    if not is_there():
        raise TargetRefused("nobody is there to confirm; say --yes if that is meant")
    print(f"All that is on this card will be lost:\n\n    {disk.label}\n", file=sys.stderr)
    wanted = disk.model if disk.is_unusual and disk.model else "yes"
    if StandardTerminal().ask(f"Type {wanted!r} to overwrite it: ") != wanted:
        raise TargetRefused("not confirmed; nothing was written")


@contextmanager
def stopping(work: Stoppable) -> Iterator[None]:
    """Let Ctrl-C, and an end by a signal, leave a blank card."""

    def stop(*_: object) -> None:
        work.cancel()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
