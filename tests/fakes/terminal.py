"""Whoever sits at an owner's terminal, as a test says, and how long the program waits there."""

from collections.abc import Callable


class FakeTerminal:
    """Implements `firmware.companion.owner.approval.Terminal`: `said` has what was shown.

    `answer` is what is typed at each question, or returns it.
    """

    def __init__(
        self, answer: str | Callable[[str], str] = "yes", *, said: list[str] | None = None
    ) -> None:
        self.said = [] if said is None else said
        self._answer = answer

    def say(self, text: str) -> None:
        self.said.append(text)

    def ask(self, prompt: str) -> str:
        return self._answer if isinstance(self._answer, str) else self._answer(prompt)


class ManualPatience:
    """Implements `firmware.companion.owner.pairing.PairingTimeouts`: a pause takes no time, but on
    `now_s`."""

    def __init__(self, *, speed: float = 1.0) -> None:
        self.now_s = 0.0
        self.shown: list[str] = []
        self._speed = speed

    def monotonic_s(self) -> float:
        return self.now_s

    def pause(self, seconds: float) -> None:
        self.now_s += seconds * self._speed

    def show(self, text: str) -> None:
        self.shown.append(text)


class FakePrompts:
    """Implements `firmware.companion.authenticator.fido_device.KeyPrompts`: somebody who knows the
    PIN."""

    def __init__(self, pin: str = "4711", *, said: list[str] | None = None) -> None:
        self.said = [] if said is None else said
        self._pin = pin

    def say(self, text: str) -> None:
        self.said.append(text)

    def ask_pin(self) -> str:
        return self._pin
