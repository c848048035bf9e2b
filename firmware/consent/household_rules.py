"""Rules of owners' decisions other than grants, and which of them widen. Pure.

R10c: what widens who may see, hear or decide waits for the doorbell's own confirmation. Who signed,
and when, the verifier has checked before.
"""

from collections.abc import Mapping

from firmware.consent.facts import ClipFact, Facts, Reason
from firmware.protocol.browsers import check_browser_keys
from firmware.protocol.decisions import (
    MAX_HOLD_WINDOW_MS,
    AddApprover,
    ChangeSettings,
    Confirm,
    Decline,
    DeleteClips,
    EndApprover,
    EndBrowser,
    EndExport,
    ExportAll,
    GiveRight,
    Hold,
    KeepClips,
    Knock,
    OwnerSettings,
    RefuseAgency,
    RemoveOwner,
    Revoke,
    SetRecovery,
    Undelete,
    Unhold,
)
from firmware.protocol.encoding import WireError, unb64u
from firmware.protocol.grants import AddOwner, Terms, check_owner_keys
from firmware.protocol.pairing import PairedKeys
from firmware.protocol.passkeys import is_same_passkey, load_p256
from firmware.protocol.rights import CLOCK_TOLERANCE_MS, MAX_RIGHT_MS, check_right, is_wider
from firmware.protocol.sealing import seal_to
from firmware.protocol.setting_changes import crossed, number, widened

MAX_HOLDS = 10
MAX_APPROVERS = 5
MAX_REFUSED_AGENCIES = 20
TIMELESS = (EndBrowser, EndApprover, EndExport, Hold, Revoke)
"""They only narrow, so they count while the time isn't known, too."""


class Forbidden(Exception):
    """A decision can't be carried out; `reason` names the check."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail


def check_decision(terms: Terms, credential_id: str, facts: Facts) -> None:
    """Raise Forbidden unless the owner `credential_id` may decide this here."""
    match terms:
        case AddOwner():
            _check_addition(terms, facts)
        case RemoveOwner():
            _check_removal(terms, facts)
        case GiveRight():
            _check_right(terms, credential_id, facts)
        case EndBrowser():
            _check_ending(terms, credential_id, facts)
        case Hold():
            _check_hold(terms, facts)
        case Unhold():
            if terms.hold_digest not in facts.household.holds:
                raise Forbidden("hold", "there is no such hold")
        case DeleteClips():
            _check_deletion(terms, credential_id, facts)
        case Undelete():
            _check_named(terms.clips)
            for clip_id in terms.clips:
                _fact_of(clip_id, facts.deleted_clips)
        case KeepClips():
            _check_keeping(terms, facts)
        case ExportAll():
            _check_export(terms, credential_id, facts)
        case EndExport():
            pass  # one that isn't there has ended, as was wished
        case Revoke():
            if terms.grant_digest in facts.household.revoked:
                raise Forbidden("revoked", "this grant was taken back before")
        case ChangeSettings():
            _check_settings(terms.settings, facts)
        case SetRecovery():
            _check_recovery(terms)
        case AddApprover():
            _check_approver(terms, facts)
        case EndApprover():
            known = facts.household.approvers.get(terms.credential_id)
            if known is None or known.credential_id != credential_id:
                raise Forbidden("approver", "none of your keys for confirming is that one")
        case Confirm() | Knock():
            _check_waiting(terms.statement_digest, credential_id, facts)
        case RefuseAgency():
            refused = facts.household.refused_agencies
            if terms.is_refused and len(refused | {terms.agency}) > MAX_REFUSED_AGENCIES:
                raise Forbidden(
                    "settings", f"at most {MAX_REFUSED_AGENCIES} agencies can be refused; opt out"
                )
        case Decline():
            pass
        case _:  # a grant is judged elsewhere; what isn't named here is decided by nobody
            raise Forbidden("form", "this can't be decided so")


def is_widening(terms: Terms, credential_id: str, facts: Facts) -> bool:
    """Return whether the decision lets somebody see, hear or decide more than before."""
    match terms:
        case RemoveOwner():
            return terms.credential_id != credential_id
        case RefuseAgency():
            return not terms.is_refused
        case GiveRight():
            known = facts.browsers.get(terms.browser.id)
            if known is None or known.keys != terms.browser:
                return True
            return is_wider(known.right, terms.right, facts.now_ms)
        case ChangeSettings():
            household = facts.household
            file, zones = household.file, household.file_zones
            return bool(widened(household.settings, terms.settings, file, zones))
        case EndBrowser() | Hold() | Unhold() | Revoke() | Decline() | EndApprover():
            return False
        case ExportAll() | EndExport():
            return False  # an owner's own browser may see all recordings anyway
        case DeleteClips() | Undelete() | KeepClips():
            return False  # an undone deletion shows no more than before it, and to nobody else
        case Confirm() | Knock():
            return False
        case _:  # whoever forgets a kind here makes it wait
            return True


def _check_addition(terms: AddOwner, facts: Facts) -> None:
    try:
        check_owner_keys(terms.owner)
    except WireError as error:
        raise Forbidden("form", f"the new owner's keys can't be used: {error}") from error
    new, approvers = terms.owner.passkey, facts.household.approvers
    if any(is_same_passkey(new, owner.passkey) for owner in facts.owners):
        raise Forbidden("already_owner", "this passkey is an owner already")
    if any(is_same_passkey(new, approver.key) for approver in approvers.values()):
        raise Forbidden("approver", "a key that confirms can't be an owner's passkey")
    if terms.owner.browser.id in facts.browsers:
        raise Forbidden("browser", "the new owner's browser is an owner's here already")
    _check_newcomer(terms.commitment, terms.owner, facts)


def _check_removal(terms: RemoveOwner, facts: Facts) -> None:
    if all(o.passkey.credential_id != terms.credential_id for o in facts.owners):
        raise Forbidden("owner", "no owner here has this passkey")
    if len(facts.owners) == 1:
        raise Forbidden("last_owner", "the last owner can't go; reset the doorbell instead")


def _check_right(terms: GiveRight, credential_id: str, facts: Facts) -> None:
    try:
        check_browser_keys(terms.browser)
    except WireError as error:
        raise Forbidden("form", f"the browser's keys can't be used: {error}") from error
    try:
        check_right(terms.right)
    except WireError as error:
        raise Forbidden("right", f"this right can't be given: {error}") from error
    known = facts.browsers.get(terms.browser.id)
    is_owners = known is not None and known.right.holder == "owner"
    if known is not None and is_owners and known.credential_id != credential_id:
        raise Forbidden("browser", "this browser is another owner's")
    if not 0 < terms.until_ms - facts.now_ms <= MAX_RIGHT_MS + CLOCK_TOLERANCE_MS:
        raise Forbidden("right", "a right ends within the next 400 days; choose another day")
    if terms.commitment is not None:
        _check_newcomer(terms.commitment, terms.browser, facts)
    elif terms.holder == "guest" and (known is None or known.right.holder != "guest"):
        raise Forbidden("newcomer", "a guest is let in by a pairing of their own phone")


def _check_newcomer(commitment: str, keys: PairedKeys, facts: Facts) -> None:
    """Demand the three messages of a pairing, so that the words to compare are of these keys."""
    paired = facts.newcomers.get(commitment)
    if paired is None:
        raise Forbidden("newcomer", "no pairing of these keys is open here; begin anew")
    if paired != keys:
        raise Forbidden("newcomer", "other keys were paired than the ones that were signed")


def _check_ending(terms: EndBrowser, credential_id: str, facts: Facts) -> None:
    known = facts.browsers.get(terms.browser)
    if known is None or (known.right.holder == "owner" and known.credential_id != credential_id):
        raise Forbidden("browser", "none of your browsers, guests and players here is that one")


def _check_export(terms: ExportAll, credential_id: str, facts: Facts) -> None:
    """Give everything to the signer's own browser only: never to a guest's or a player's."""
    known = facts.browsers.get(terms.browser)
    if known is None or known.right.holder != "owner" or known.credential_id != credential_id:
        raise Forbidden("browser", "everything is given to one of your own browsers here alone")
    if known.right.is_over(facts.now_ms):
        raise Forbidden("browser", "this browser's right is over; renew it with your passkey first")


def _check_hold(terms: Hold, facts: Facts) -> None:
    if not 0 < terms.to_ms - terms.from_ms <= MAX_HOLD_WINDOW_MS:
        raise Forbidden("hold", "a hold is for up to a day's recordings, from earlier to later")
    if len(facts.household.holds) >= MAX_HOLDS:
        raise Forbidden("hold", f"there are {MAX_HOLDS} holds already; let one end first")


def _check_deletion(terms: DeleteClips, credential_id: str, facts: Facts) -> None:
    """Let a hold, a grant that isn't done and another owner's keeping win."""
    _check_named(terms.clips)
    there = {**facts.clips, **facts.deleted_clips} if terms.is_now else facts.clips
    names = {owner.passkey.credential_id: owner.name for owner in facts.owners}
    for clip_id in terms.clips:
        clip = _fact_of(clip_id, there)
        if clip.held_by == "hold":
            raise Forbidden("clip_held", f"clip {clip_id} is held; end the hold first")
        if clip.held_by == "grant":
            raise Forbidden(
                "clip_held", f"clip {clip_id} is in a release that isn't done; take it back first"
            )
        others = sorted(names[one] for one in clip.kept_by - {credential_id} if one in names)
        if others:
            raise Forbidden("clip_kept", f"clip {clip_id} is kept by {', '.join(others)}")


def _check_keeping(terms: KeepClips, facts: Facts) -> None:
    _check_named(terms.clips)
    named = {clip_id: _fact_of(clip_id, facts.clips) for clip_id in terms.clips}
    if not terms.is_kept:
        return
    kept = {clip_id: clip for clip_id, clip in facts.clips.items() if clip.kept_by}
    if sum(clip.size_bytes for clip in {**kept, **named}.values()) > facts.max_kept_bytes:
        raise Forbidden(
            "clip_kept", "kept clips would fill more than half of the card; keep fewer of them"
        )


def _check_named(clip_ids: list[str]) -> None:
    if len(set(clip_ids)) != len(clip_ids):
        raise Forbidden("clip_repeated", "a clip is named twice")


def _fact_of(clip_id: str, clips: Mapping[str, ClipFact]) -> ClipFact:
    fact = clips.get(clip_id)
    if fact is None:
        raise Forbidden("clip_unknown", f"clip {clip_id} isn't there")
    return fact


def _check_settings(settings: OwnerSettings, facts: Facts) -> None:
    before = facts.household.settings
    if before is not None and settings.revision != before.revision + 1:
        raise Forbidden(
            "settings", "somebody changed the settings meanwhile; look at them, and set them again"
        )
    if before is None and settings.revision != 1:
        raise Forbidden("settings", "the first settings have revision 1")
    wrong = crossed(settings)
    if wrong:
        raise Forbidden("setting_value", f"{wrong}; draw it anew")
    file = facts.household.file
    pre_roll_ms = number(settings, file, "pre_roll_ms")
    if pre_roll_ms > file.longest_pre_roll_ms:
        longest_s = file.longest_pre_roll_ms / 1000
        raise Forbidden("setting_value", f"the memory takes a pre-roll of {longest_s:g} s at most")
    if number(settings, file, "longest_ms") < number(settings, file, "post_roll_ms"):
        raise Forbidden("setting_value", "a clip can't be shorter than what follows a press")


def _check_recovery(terms: SetRecovery) -> None:
    try:
        seal_to(unb64u(terms.keys.sealing_key), b"", b"")
        load_p256(unb64u(terms.keys.signing_key))
    except WireError as error:
        raise Forbidden("recovery", f"the recovery key can't be used: {error}") from error


def _check_approver(terms: AddApprover, facts: Facts) -> None:
    try:
        load_p256(unb64u(terms.key.public_key))
    except WireError as error:
        raise Forbidden("approver", f"the key can't be used: {error}") from error
    known = facts.household.approvers
    if any(is_same_passkey(terms.key, approver.key) for approver in known.values()):
        raise Forbidden("approver", "this key confirms here already")
    if any(is_same_passkey(terms.key, owner.passkey) for owner in facts.owners):
        raise Forbidden("approver", "an owner's passkey can't confirm what it signs")
    if len(known) >= MAX_APPROVERS:
        raise Forbidden("approver", f"there are {MAX_APPROVERS} such keys already; end one first")


def _check_waiting(digest: str, credential_id: str, facts: Facts) -> None:
    if facts.household.waiting.get(digest) != credential_id:
        raise Forbidden("not_waiting", "no statement of yours waits for that")
