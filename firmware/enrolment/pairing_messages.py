"""Intake of the messages of pairings that the relay carries to the doorbell."""

from firmware.enrolment.newcomers import NewcomerRefused, Newcomers, TooManyNewcomers
from firmware.enrolment.pairing import Pairing
from firmware.protocol.commands import (
    Accepted,
    NewcomerAnswered,
    NewcomerCommitted,
    PairingRevealed,
    PairingStopped,
    Refused,
    ReplyBody,
)
from firmware.protocol.encoding import as_line
from firmware.protocol.pairing import PairingCode
from firmware.system.clock import Clock
from firmware.system.listeners import Listeners

PairingCommand = NewcomerCommitted | PairingRevealed | PairingStopped


class PairingMessages:
    """Hands the messages to the pairing that they are of; `link.command_handlers.PairingIntake`.

    `revealed` is notified once the four words of the pairing at the camera are known.
    """

    def __init__(self, pairing: Pairing, newcomers: Newcomers, clock: Clock) -> None:
        self.revealed = Listeners[()]()
        self._pairing = pairing
        self._newcomers = newcomers
        self._clock = clock

    async def on_pairing(self, command: PairingCommand) -> ReplyBody:
        """Take one message."""
        now_ms = self._clock.monotonic_ns() // 1_000_000
        try:
            match command:
                case NewcomerCommitted(pairing_id=pairing_id, commitment=commitment):
                    code = PairingCode(pairing_id=pairing_id, commitment=commitment)
                    return NewcomerAnswered(signed=self._newcomers.commit(code, now_ms))
                case PairingStopped(pairing_id=pairing_id):
                    if not self._newcomers.stop(pairing_id):
                        self._pairing.stop(pairing_id, now_ms)
                case PairingRevealed(pairing_id=pairing_id, reveal=text):
                    if self._newcomers.has(pairing_id, now_ms):
                        self._newcomers.reveal(pairing_id, text, now_ms)
                    else:
                        self._take_reveal(pairing_id, text, now_ms)
        except NewcomerRefused as error:
            reason = "busy" if isinstance(error, TooManyNewcomers) else "pairing"
            return Refused(reason=reason, detail=as_line(str(error), otherwise="pairing"))
        return Accepted()

    def _take_reveal(self, pairing_id: str, text: str, now_ms: int) -> None:
        """Take the reveal of the pairing at the camera."""
        had_words = self._pairing.reveal(now_ms) is not None
        problem = self._pairing.take_reveal(pairing_id, text, now_ms)
        if problem is not None:
            raise NewcomerRefused(problem)
        if not had_words:
            self.revealed.notify()
