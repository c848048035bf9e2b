"""`doorward-view check`: tests each step from this machine to the doorbell.

Whether this player is let in is asked without a session: the doorbell checks who signed before it
says that the session of some candidates isn't there.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from firmware.companion.viewer.errors import RelayError, RelayRefused
from firmware.companion.viewer.player_keys import PlayerKeys
from firmware.companion.viewer.relay_client import Signalling
from firmware.protocol.encoding import new_id
from firmware.protocol.live import LiveCandidates
from firmware.protocol.players import PlayerSetup

REACH = {
    "anywhere": "live view works from anywhere",
    "stun_only": "live view works at home, and through most routers",
    "home_only": "live view works in the doorbell's own network only",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One step, and whether it holds."""

    is_ok: bool
    text: str


async def run_checks(keys: PlayerKeys, setup: PlayerSetup, relay: Signalling) -> list[CheckResult]:
    """Try each step until one fails."""
    findings = []

    async def relay_step() -> str:
        return f"the relay takes the token; {REACH[(await relay.ice()).reach]}"

    async def doorbell_step() -> str:
        await relay.nonce()
        return "the doorbell answers"

    async def player_step() -> str:
        await _ask_who(keys, setup, relay)
        return f"the doorbell lets “{keys.public.name}” in"

    for step in (relay_step, doorbell_step, player_step):
        finding = await _tried(step)
        findings.append(finding)
        if not finding.is_ok:
            break
    return findings


async def _tried(step: Callable[[], Awaitable[str]]) -> CheckResult:
    try:
        return CheckResult(is_ok=True, text=await step())
    except RelayError as error:
        return CheckResult(is_ok=False, text=str(error))


async def _ask_who(keys: PlayerKeys, setup: PlayerSetup, relay: Signalling) -> None:
    """Raise RelayRefused if the doorbell doesn't take what these keys sign."""
    nothing = LiveCandidates(
        device=setup.device,
        session_id=new_id(),
        nonce=new_id(),
        browser=keys.public.id,
        number=1,
        candidates=[],
        is_last=True,
    )
    try:
        await relay.candidates(nothing.session_id, keys.sign(nothing))
    except RelayRefused as error:
        if error.code != "no_session":
            raise
