"""Listeners: the one typed way in which a part announces a fact to any number of others.

A part owns a `Listeners` as a public attribute and calls `notify`; the wiring calls `add`.
Queries don't belong here: a part that needs a value takes the object that has it.
"""

from collections.abc import Callable
from typing import Generic, TypeVarTuple

Facts = TypeVarTuple("Facts")


class Listeners(Generic[*Facts]):
    """Functions that are called in the order in which they were added."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[*Facts], None]] = []

    def add(self, listener: Callable[[*Facts], None]) -> None:
        """Call `listener` at each later `notify`, on the thread that calls it."""
        self._listeners.append(listener)

    def notify(self, *facts: *Facts) -> None:
        """Call every listener with `facts`; an error of a listener goes to the caller."""
        for listener in self._listeners:
            listener(*facts)
