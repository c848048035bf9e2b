"""Intake of the messages of a pairing that the relay carries from the app to the doorbell."""

from firmware.enrolment.pairing import Pairing
from firmware.protocol.commands import (
    Accepted,
    PairingRevealed,
    PairingStopped,
    Refused,
    ReplyBody,
)
from firmware.protocol.encoding import as_line
from firmware.system.clock import Clock
from firmware.system.listeners import Listeners


class PairingMessages:
    """Hands reveals and stops to the pairing; implements `link.command_handlers.PairingIntake`.

    `revealed` is notified once the four words of a pairing are known.
    """

    def __init__(self, pairing: Pairing, clock: Clock) -> None:
        self.revealed = Listeners[()]()
        self._pairing = pairing
        self._clock = clock

    async def on_pairing(self, command: PairingRevealed | PairingStopped) -> ReplyBody:
        """Take one message."""
        now_ms = self._clock.monotonic_ns() // 1_000_000
        match command:
            case PairingStopped(pairing_id=pairing_id):
                self._pairing.stop(pairing_id, now_ms)
                return Accepted()
            case PairingRevealed(pairing_id=pairing_id, reveal=text):
                had_words = self._pairing.reveal(now_ms) is not None
                problem = self._pairing.take_reveal(pairing_id, text, now_ms)
        if problem is not None:
            return Refused(reason="pairing", detail=as_line(problem, otherwise="pairing"))
        if not had_words:
            self.revealed.notify()
        return Accepted()
