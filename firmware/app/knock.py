"""Wiring of the knock: a grant's confirmation by the outer button, with spoken prompts.

    knock (sealed, by an owner) ─► knock service ─► speaker
                     outer button ─► knock service ─► confirm ─► statement intake

Only wiring belongs here. Only a grant can be knocked for: a statement that lets a person or a
browser in is confirmed where six words are compared. The pattern is chosen at the doorbell's own
page (local_page/switches.py).
"""

import asyncio

from firmware.consent.facts import Grant, Refusal
from firmware.decisions.intake import StatementIntake
from firmware.knock.announcement import IdentityField, Knockable, KnockableClip
from firmware.knock.errors import KnockRefused
from firmware.knock.pattern_store import KnockStore
from firmware.knock.service import KnockService, SoundOutput, SpeechSource
from firmware.panel.panel import Panel
from firmware.sound.errors import SoundError
from firmware.sound.speech import VOICES
from firmware.system.clock import Clock

IDENTITY: tuple[IdentityField, ...] = ("name", "address", "contact")


class KnockableGrants:
    """The grants that wait at the statements' desk; a knock confirms them there."""

    def __init__(self, statements: StatementIntake) -> None:
        self._statements = statements

    async def find(self, digest: str) -> Knockable | None:
        """Return the grant that waits under a digest, if there is one."""
        for asked in await asyncio.to_thread(self._statements.waiting):
            if asked.statement.digest == digest and isinstance(asked.checked, Grant):
                return knockable(asked.checked, asked.statement.expires_ms)
        return None

    async def confirm(self, digest: str) -> Refusal | None:
        """Take the owner's yes to exactly this statement; return why not, if it isn't done."""
        return await self._statements.confirm(digest, way="knock")


class KnockWiring:
    """One doorbell's knock. Build it inside the running loop."""

    def __init__(
        self,
        *,
        store: KnockStore,
        panel: Panel,
        voice: SpeechSource,
        mouth: SoundOutput,
        statements: StatementIntake,
        clock: Clock,
    ) -> None:
        self.desk = KnockService(
            store=store,
            voice=voice,
            mouth=mouth,
            grants=KnockableGrants(statements),
            clock=clock,
        )
        panel.bell_edges.add(self.desk.on_edge)
        statements.knock_with(self.open)

    async def open(self, digest: str, language: str) -> Refusal | None:
        """Open the knock for a grant; return why that can't be, in words for the owner."""
        spoken = next((voice for voice in VOICES if voice == language), None)
        if spoken is None:
            return Refusal(reason="not_confirmed", detail=f"no voice here speaks {language!r}")
        try:
            await self.desk.open(digest, spoken)
        except KnockRefused as refused:
            return Refusal(reason="not_confirmed", detail=refused.detail)
        except SoundError as error:
            return Refusal(reason="not_confirmed", detail=f"the doorbell can't say it: {error}")
        return None


def knockable(grant: Grant, expires_ms: int) -> Knockable:
    """Return the facts of a grant that the speaker announces."""
    terms = grant.terms
    return Knockable(
        digest=grant.digest,
        agency_name=grant.agreement.name,
        case_number=grant.request.case_number,
        clips=tuple(KnockableClip(from_ms=clip.from_ms, to_ms=clip.to_ms) for clip in terms.clips),
        has_audio=terms.has_audio,
        identity=tuple(field for field in IDENTITY if getattr(terms.identity, field)),
        expires_ms=expires_ms,
    )
