"""Writes the golden vectors for everything that an owner decides, and for what a doorbell answers.

    python tests/vectors/make_decisions.py

All comes from firmware.protocol; tests/js/decisions.test.mjs reads it.
"""

import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import structs

from firmware.protocol import decisions, grants, notes, pairing, rights
from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.encoding import b64u, sha256_hex
from firmware.protocol.passkeys import PasskeyKey
from firmware.protocol.setting_changes import changed, widened
from tests.fakes.owner_file import file_of

HERE = Path(__file__).parent
AN_ID = "a" * 26
DEVICE = "c" * 20
NOW_MS = 1_790_000_000_000
DIGEST = "d" * 64
MASK = [[0, 0], [250, 0], [250, 1000], [0, 1000]]


def main() -> None:
    """Write the file."""
    text = json.dumps(vectors(), indent=1, ensure_ascii=False, sort_keys=True)
    (HERE / "decisions.json").write_text(text + "\n", "utf-8")


def vectors() -> dict[str, Any]:
    """Return a statement of each kind, a note of each type, and the codes that owners paste."""
    key = PasskeyKey(
        credential_id=b64u(b"approver"), public_key=b64u(_spki(7)), rp_id="a.example", origin="a"
    )
    recovery = decisions.RecoveryKeys(sealing_key=b64u(bytes(32)), signing_key=b64u(_spki(11)))
    approver = decisions.AddApprover(name="Åsas nyckel", key=key)
    return {
        "statements": {kind: _statement(terms) for kind, terms in _terms(key, recovery).items()},
        "notes": {type(body).__struct_config__.tag: _note(body) for body in _bodies()},
        "approver": {
            "key": json.loads(key.encode()),
            "name": approver.name,
            "words": list(pairing.approver_words(key)),
        },
        "recovery": {
            "keys": json.loads(recovery.encode()),
            "words": list(pairing.recovery_key_words(recovery)),
        },
        "limits": {
            "hold_ms": decisions.MAX_HOLD_MS,
            "hold_window_ms": decisions.MAX_HOLD_WINDOW_MS,
            "named_clips": decisions.MAX_NAMED_CLIPS,
            "undo_ms": decisions.UNDO_MS,
            "statement_step_bytes": grants.STATEMENT_STEP_BYTES,
            "right_ms": rights.MAX_RIGHT_MS,
            "self_renewed_ms": rights.SELF_RENEWED_MS,
        },
        "rights": _rights(),
        "file": json.loads(file_of().encode()),
        "settings": _settings(),
    }


def _terms(key: PasskeyKey, recovery: decisions.RecoveryKeys) -> dict[str, grants.Terms]:
    browser = BrowserKeys(
        name="Åsas telefon", session_key=b64u(b"\x02" + bytes(32)), viewing_key=b64u(bytes(32))
    )
    owner = grants.OwnerKeys(name="Åsa", passkey=key, browser=browser)
    settings = decisions.OwnerSettings(revision=7, is_opted_in=True, masks=[MASK])
    terms: list[grants.Terms] = [
        grants.GrantTerms(
            request_digest=DIGEST,
            clips=[
                grants.ClipRange(
                    clip_id=AN_ID, manifest_digest="e" * 64, from_ms=NOW_MS, to_ms=NOW_MS + 1
                )
            ],
            has_audio=True,
            identity=decisions.IdentityGiven(name="Åsa Öberg", address="Elm Street 5\nLakeland"),
            recipient=grants.Recipient(agency="lakeland", sealing_keys=[b64u(bytes(32))]),
        ),
        grants.AddOwner(pairing_id=AN_ID, owner=owner, commitment=DIGEST),
        decisions.RemoveOwner(credential_id=key.credential_id),
        decisions.GiveRight(
            browser=browser,
            commitment=DIGEST,
            pairing_id=AN_ID,
            holder="guest",
            what=["live", "rings"],
            from_ms=NOW_MS,
            until_ms=NOW_MS + 7 * rights.DAY_MS,
        ),
        decisions.EndBrowser(browser=browser.id),
        decisions.Hold(from_ms=NOW_MS, to_ms=NOW_MS + 3_600_000),
        decisions.Unhold(hold_digest=DIGEST),
        decisions.DeleteClips(clips=[AN_ID], is_now=False),
        decisions.Undelete(clips=[AN_ID]),
        decisions.KeepClips(clips=[AN_ID, "b" * 26], is_kept=True),
        decisions.ExportAll(browser=browser.id),
        decisions.EndExport(export_digest=DIGEST),
        decisions.Revoke(grant_digest=DIGEST),
        decisions.Decline(request_digest=DIGEST),
        decisions.RefuseAgency(agency="lakeland", is_refused=True),
        decisions.ChangeSettings(settings=settings),
        decisions.SetRecovery(keys=recovery),
        decisions.AddApprover(name="Åsas nyckel", key=key),
        decisions.EndApprover(credential_id=key.credential_id),
        decisions.Confirm(statement_digest=DIGEST, answer="yes"),
        decisions.Knock(statement_digest=DIGEST, language="sv"),
    ]
    return {str(type(one).__struct_config__.tag): one for one in terms}


def _settings() -> list[dict[str, Any]]:
    """Return pairs of settings, with which of them changed, and which of those widen."""
    file = file_of()
    large = [[0, 0], [400, 0], [400, 400], [0, 400]]
    small = [[0, 0], [200, 0], [200, 200], [0, 200]]
    notched = [
        [0, 0],
        [400, 0],
        [400, 400],
        [300, 400],
        [300, 100],
        [100, 100],
        [100, 400],
        [0, 400],
    ]
    zone = decisions.Zone(name="Grind", corners=large)
    path = decisions.Zone(name="Stig", corners=small)

    def of(**values: Any) -> decisions.OwnerSettings:
        return decisions.OwnerSettings(revision=1, **values)

    pairs: list[tuple[decisions.OwnerSettings | None, decisions.OwnerSettings]] = [
        (None, of()),
        (None, of(is_opted_in=True)),
        (None, of(is_opted_in=False)),
        (of(is_opted_in=True), of()),
        (None, of(has_reminder=True)),
        (None, of(cell="8944a1b2c3fffff")),
        (of(cell="8944a1b2c3fffff"), of(cell="")),
        (None, of(masks=[large])),
        (of(masks=[small]), of(masks=[large])),
        (of(masks=[large]), of(masks=[small])),
        (of(masks=[large]), of(masks=[notched])),
        (of(masks=[notched]), of(masks=[large, small])),
        (of(masks=[large, small]), of(masks=[])),
        (None, of(zones=[zone])),
        (of(zones=[zone]), of(zones=[path])),
        (of(zones=[path]), of(zones=[zone])),
        (of(zones=[zone]), of(zones=[])),
        (of(zones=[zone]), of()),
        (None, of(is_motion_on=False)),
        (of(is_motion_on=False), of(is_motion_on=True)),
        (None, of(sensitivity=6)),
        (None, of(sensitivity=4)),
        (None, of(min_size_pmyr=20, min_time_ms=0)),
        (None, of(min_size_pmyr=400, min_time_ms=1000)),
        (None, of(pre_roll_ms=7000, post_roll_ms=7000, longest_ms=90_000, keep_days=31)),
        (None, of(pre_roll_ms=1000, post_roll_ms=2000, longest_ms=15_000, keep_days=1)),
        (None, of(is_sound_in_live_view=False)),
        (None, of(is_sound_in_clips=True)),
        (None, of(is_microphone_off=True)),
        (of(is_microphone_off=True), of()),
        (None, of(gaps_reported=0)),
        (None, of(notice_contact="Åsa, vid dörren")),
        (of(notice_contact="Åsa"), of(notice_contact="Bo")),
        (of(notice_contact="Åsa"), of(notice_contact="")),
    ]
    return [
        {
            "before": None if before is None else json.loads(before.encode()),
            "after": json.loads(after.encode()),
            "changed": sorted(changed(before, after, file)),
            "widened": sorted(widened(before, after, file, [])),
        }
        for before, after in pairs
    ]


def _rights() -> list[dict[str, Any]]:
    """Return pairs of rights, with whether the second one is wider."""
    first = rights.Right(
        holder="guest", what=["live", "rings"], from_ms=NOW_MS, until_ms=NOW_MS + rights.DAY_MS
    )
    owners = rights.owners_right(NOW_MS)
    later = structs.replace(owners, until_ms=NOW_MS + 40 * rights.DAY_MS)
    pairs = [
        (first, first),
        (first, structs.replace(first, what=["live"])),
        (first, structs.replace(first, what=["history", "live", "rings"])),
        (first, structs.replace(first, until_ms=NOW_MS + 1)),
        (first, structs.replace(first, until_ms=NOW_MS + rights.DAY_MS + 1)),
        (first, structs.replace(first, from_ms=NOW_MS - 1)),
        (first, structs.replace(first, holder="player")),
        (owners, rights.owners_right(NOW_MS + 60_000)),
        (owners, later),
        (later, owners),
    ]
    return [
        {
            "before": json.loads(before.encode()),
            "after": json.loads(after.encode()),
            "now_ms": NOW_MS,
            "is_wider": rights.is_wider(before, after, NOW_MS),
        }
        for before, after in pairs
    ]


def _statement(terms: grants.Terms) -> dict[str, str]:
    statement = grants.Statement(device=DEVICE, nonce=AN_ID, not_after_ms=NOW_MS, terms=terms)
    text = statement.encode()
    return {"text": text.decode(), "digest": sha256_hex(text)}


def _bodies() -> list[notes.NoteBody]:
    matched = notes.MatchedRequest(
        request_id=AN_ID, request_digest=DIGEST, agency_name="Lakeland Police", is_emergency=True
    )
    hold = notes.HeldTime(hold_digest=DIGEST, from_ms=1, to_ms=2, until_ms=3)
    settings = decisions.OwnerSettings(revision=1)
    return [
        notes.Nothing(),
        notes.RequestsMatched(requests=[matched]),
        notes.StatementDone(statement_digest=DIGEST, kind="decline", about=DIGEST),
        notes.SettingsNow(statement_digest=DIGEST, settings=settings, at_ms=NOW_MS),
        notes.RefusedNow(statement_digest=DIGEST, refused=["lakeland"]),
        notes.PreferencesNow(
            preferences=decisions.Preferences(name="Åsas dörr", chime_ms=0),
            file=file_of(),
            at_ms=NOW_MS,
            after_restart=["metering"],
        ),
        notes.DoorNoticeNow(notice_id=AN_ID, since_ms=NOW_MS),
        notes.HoldsNow(statement_digest=DIGEST, holds=[hold]),
        notes.ClipsDecided(
            statement_digest=DIGEST, what="deleted", by_name="Åsa", clips=[AN_ID], until_ms=NOW_MS
        ),
        notes.ExportNow(
            statement_digest=DIGEST,
            export_digest=DIGEST,
            state="began",
            by_name="Åsa",
            browser_name="Åsas mobil",
            until_ms=NOW_MS,
        ),
        notes.OwnerRemoved(name="Bo", by_name="Åsa"),
        notes.RecoveryUsed(name="Åsa", at_ms=NOW_MS),
        notes.MovedOut(name="Åsa", credential_id="AAAA", at_ms=NOW_MS, browsers=2, guests=1),
        notes.BrowserEnrolled(
            browser="a" * 20,
            name="Bo",
            by_name="Åsa",
            holder="guest",
            what=["live"],
            from_ms=NOW_MS,
            until_ms=NOW_MS + rights.DAY_MS,
        ),
        notes.WifiTried(name="Öbergs nät", reason="no_relay", at_ms=NOW_MS),
    ]


def _note(body: notes.NoteBody) -> str:
    note = notes.OwnerNote(
        device=DEVICE, id=AN_ID, told_ms=NOW_MS, sealing_key=b64u(bytes(32)), body=body
    )
    return note.encode().decode()


def _spki(secret: int) -> bytes:
    key = ec.derive_private_key(secret, ec.SECP256R1()).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


if __name__ == "__main__":
    main()
