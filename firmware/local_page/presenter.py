"""Presenter of waiting statements: the facts that an owner decides by, and the exact footage.

Everything is taken from the checked statement, the register that this doorbell follows itself, and
its own library; nothing from the relay. The footage is what the package will hold: the same part of
the same clip, by the same functions, and only for a grant that waits.
"""

import logging

from firmware.clips.library import Library
from firmware.clips.playback import Playback
from firmware.clips.record import ClipRecord, Dating, manifest_of
from firmware.consent.facts import Decision, Grant
from firmware.decisions.facts import FileValues
from firmware.decisions.intake import PendingStatement, StatementIntake
from firmware.decisions.request_intake import Register
from firmware.enrolment.owners import OwnerStore
from firmware.errors import VaultError
from firmware.evidence.seal import ClipMismatchError, granted_part
from firmware.local_page import views
from firmware.protocol.decisions import (
    AddApprover,
    ChangeSettings,
    FileSettings,
    GiveRight,
    MaskPolygon,
    OwnerSettings,
    RefuseAgency,
    RemoveOwner,
    SetRecovery,
)
from firmware.protocol.encoding import sha256_hex, unb64u
from firmware.protocol.footage import TICKS_PER_MS, ClipManifest
from firmware.protocol.grants import AddOwner, ClipRange
from firmware.protocol.pairing import approver_words, recovery_key_words
from firmware.protocol.register.facts import RegisterFacts
from firmware.protocol.released_part import ReleasedPart
from firmware.protocol.setting_changes import changed, value, widened
from firmware.store.household import HouseholdStore

log = logging.getLogger(__name__)

CLIP_TIMES: dict[Dating, views.ClipTime] = {
    "trusted": "trusted",
    "dated": "corrected",
    "latest": "unknown",
    "unknown": "unknown",
}


class StatementPresenter:
    """Presents one doorbell's waiting statements. Its methods read storage: not on the loop."""

    def __init__(
        self,
        *,
        desk: StatementIntake,
        owners: OwnerStore,
        household: HouseholdStore,
        library: Library,
        playback: Playback,
        register: Register,
        picture_size: tuple[int, int],
        file: FileValues,
    ) -> None:
        """`picture_size`: width and height of the camera's picture as it is shown."""
        self._desk = desk
        self._owners = owners
        self._household = household
        self._library = library
        self._playback = playback
        self._register = register
        self._picture_size = picture_size
        self._file = file

    def waiting(self, *, of: str | None = None) -> list[views.StatementView]:
        """Return the statements that wait and would still be right, oldest first.

        `of`: those alone that the owner of this passkey signed.
        """
        return [
            views.StatementView(
                digest=asked.checked.digest,
                signer_name=self._owner_name(asked.checked.credential_id),
                expires_ms=asked.statement.expires_ms,
                asked=what,
            )
            for asked in self._waiting(of)
            if (what := self._what(asked)) is not None
        ]

    def part(self, digest: str, number: int, *, of: str | None = None) -> bytes | None:
        """Return exactly what would leave of a waiting grant's clip `number` (from 1), as MP4."""
        waiting = (asked.checked for asked in self._waiting(of))
        grant = next((checked for checked in waiting if checked.digest == digest), None)
        if not isinstance(grant, Grant) or not 1 <= number <= len(grant.terms.clips):
            return None
        return self.footage(grant.terms.clips[number - 1], has_audio=grant.terms.has_audio)

    def footage(self, granted: ClipRange, *, has_audio: bool) -> bytes | None:
        """Return exactly what would leave of a clip if this were granted, as MP4."""
        record = self._library.find(granted.clip_id)
        if record is None or record.manifest_digest != granted.manifest_digest:
            return None
        try:
            part = granted_part(
                record.signed_manifest,
                granted,
                has_audio=has_audio,
                corrected_ms=record.corrected_ms,
            )
            return self._playback.plain_part(record, part)
        except (ClipMismatchError, OSError, VaultError) as error:
            log.warning("clip %s can't be played: %s", granted.clip_id, error)
            return None

    def clip(self, granted: ClipRange, *, has_audio: bool) -> views.ClipView:
        """Return what would leave of a clip if this were granted."""
        record = self._library.find(granted.clip_id)
        if record is None:  # deleted since it was judged, a moment ago
            return _lost(granted, "It isn't here any more.")
        try:
            part = granted_part(
                record.signed_manifest,
                granted,
                has_audio=has_audio,
                corrected_ms=record.corrected_ms,
            )
        except (ClipMismatchError, VaultError) as error:
            return _lost(granted, str(error))
        return _clip(record, manifest_of(record.signed_manifest), part)

    def _waiting(self, of: str | None) -> list[PendingStatement]:
        waiting = self._desk.waiting()
        return [one for one in waiting if of is None or one.checked.credential_id == of]

    def _what(self, asked: PendingStatement) -> views.Asked | None:
        checked = asked.checked
        return self._grant(checked) if isinstance(checked, Grant) else self._decision(checked)

    def _decision(self, decision: Decision) -> views.Asked | None:
        match decision.terms:
            case AddOwner(owner=owner):
                return views.NewOwnerView(name=owner.name, words=self._desk.words_of(decision))
            case RemoveOwner(credential_id=credential_id):
                return views.OwnerRemovalView(name=self._owner_name(credential_id))
            case GiveRight(browser=browser):
                return views.RightView(
                    name=browser.name,
                    words=self._desk.words_of(decision),
                    holder=decision.terms.holder,
                    what=decision.terms.what,
                    until_ms=decision.terms.until_ms,
                )
            case RefuseAgency(agency=agency):
                return views.AgencyView(name=agency_name(agency, self._register.facts()))
            case ChangeSettings(settings=settings):
                return self._settings(settings)
            case SetRecovery(keys=keys):
                is_first = self._household.recovery() is None
                return views.RecoveryView(words=recovery_key_words(keys), is_first=is_first)
            case AddApprover(name=name, key=key):
                return views.ApproverView(name=name, words=approver_words(key))
            case other:
                log.error("nothing can be shown of a %s, so it can't be confirmed", type(other))
                return None

    def _settings(self, after: OwnerSettings) -> views.SettingsView:
        before, file = self._household.settings(), self._file.file
        old = [] if before is None else before.masks or []
        new = after.masks or []
        keys = changed(before, after, file)
        wider = widened(before, after, file, self._file.file_zones)
        return views.SettingsView(
            picture_size=self._picture_size,
            removed=[_polygon(mask) for mask in old if mask not in new],
            kept=[_polygon(mask) for mask in old if mask in new],
            added=[_polygon(mask) for mask in new if mask not in old],
            zones=[(zone.name, _polygon(zone.corners)) for zone in after.zones or []]
            if "zones" in keys
            else [],
            changes=[
                views.SettingChangeView(
                    name=key,
                    before=_shown(before, file, key),
                    after=_shown(after, file, key),
                    is_wider=key in wider,
                )
                for key in keys
                if key != "masks"
            ],
        )

    def _grant(self, grant: Grant) -> views.GrantView:
        request, terms = grant.request, grant.terms
        return views.GrantView(
            agency=grant.agreement.name,
            is_example=self._register.facts().is_example,
            officer_name=request.officer_name,
            cosigner_name=request.cosigner_name,
            contact=request.contact,
            case_number=request.case_number,
            incident_type=request.incident_type,
            text=request.text,
            reason=request.reason,
            danger=request.danger,
            asked_from_ms=request.from_ms,
            asked_to_ms=request.to_ms,
            retention_days=request.retention_days,
            onward_sharing=request.onward_sharing,
            clips=[self.clip(clip, has_audio=terms.has_audio) for clip in terms.clips],
            has_audio=terms.has_audio,
            given_name=terms.identity.name,
            given_address=terms.identity.address,
            given_contact=terms.identity.contact,
            key_fingerprints=[
                sha256_hex(unb64u(key))[:16] for key in dict.fromkeys(terms.recipient.sealing_keys)
            ],
            not_after_ms=grant.not_after_ms,
        )

    def _owner_name(self, credential_id: str) -> str:
        owner = self._owners.find(credential_id)
        return owner.name if owner is not None else ""


def agency_name(agency: str, register: RegisterFacts) -> str:
    """Return the name that the register gave an agency last, or its id if it gave none."""
    known = register.agreements.get(agency)
    return known[-1].agreement.name if known else agency


def _clip(record: ClipRecord, manifest: ClipManifest, part: ReleasedPart) -> views.ClipView:
    borders_90k = [*(gop.first_pts_90k for gop in manifest.gops), manifest.duration_90k]
    begin_90k = borders_90k[part.first_gop]
    end_90k = borders_90k[part.first_gop + part.gop_count]
    return views.ClipView(
        from_ms=record.started_ms + begin_90k // TICKS_PER_MS,
        to_ms=record.started_ms + end_90k // TICKS_PER_MS,
        is_whole=part.gop_count == len(manifest.gops),
        has_sound=part.span_count > 0,
        time=CLIP_TIMES[record.dating],
    )


def _lost(granted: ClipRange, problem: str) -> views.ClipView:
    return views.ClipView(
        from_ms=granted.from_ms,
        to_ms=granted.to_ms,
        is_whole=False,
        has_sound=False,
        time="trusted",
        problem=problem,
    )


def _shown(settings: OwnerSettings | None, file: FileSettings, key: str) -> str | int | bool:
    """Return a setting's value in force; of zones, how many there are."""
    if key == "zones":
        zones = None if settings is None else settings.zones
        return file.zone_count if zones is None else len(zones)
    shown = value(settings, file, key)
    return shown if isinstance(shown, str | int) else ""


def _polygon(mask: MaskPolygon) -> views.Polygon:
    return [(x, y) for x, y in mask]
