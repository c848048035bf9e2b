"""Terminal texts for waiting statements: every fact that matters to the decision, no guesses.

An officer's text is somebody else's: what a terminal would obey (escape sequences, marks that turn
the direction of writing) is taken out, so that no text can paint over what would be released.
"""

import textwrap
from collections.abc import Sequence
from datetime import datetime, tzinfo

from firmware.protocol.asking import (
    AgencyAsked,
    ApproverAsked,
    GrantAsked,
    HouseholdNow,
    OwnerAsked,
    RecoveryAsked,
    RemovalAsked,
    RequestedClip,
    RightAsked,
    SettingsAsked,
    WaitingLine,
)
from firmware.protocol.pairing import WORD_COUNT
from firmware.protocol.plain_text import plain
from firmware.protocol.rights import What

WIDTH = 96
TIMES = {
    "trusted": "",
    "corrected": " (its clock was wrong then, and set right later)",
    "unknown": " (its clock was wrong then: the time isn't sure)",
}
INTENTS = {
    "grant": "Release recordings",
    "add_owner": "Let somebody be an owner too",
    "remove_owner": "Send an owner away",
    "give_right": "Give a browser, guest or player a right",
    "refuse_agency": "Let an agency ask again",
    "settings": "Change settings, so that more is seen",
    "recovery": "Let a recovery key count",
    "add_approver": "Let a key confirm your statements from anywhere",
}

HOLDERS = {"owner": "", "guest": " (guest)", "player": " (player)"}
WHOSE = {"owner": "a browser of the owner's", "guest": "a guest", "player": "a player"}
PARTS: dict[What, str] = {
    "history": "recordings",
    "live": "watch and talk",
    "record": "record all the time",
    "rings": "hear of rings",
}


def title_of(line: WaitingLine) -> str:
    """Return what it is, in one line."""
    asked = line.asked
    title = INTENTS[_kind(line)]
    match asked:
        case GrantAsked():
            return f"{title} to {one_line(asked.agency)}"
        case SettingsAsked() | RecoveryAsked():
            return title
        case _:
            return f"{title}: {one_line(asked.name)}"


def lines_of(line: WaitingLine, zone: tzinfo | None) -> list[str]:
    """Return all that an owner must know before they say yes."""
    asked = line.asked
    until = time_text(line.expires_ms, zone)
    head = [title_of(line), f"Signed by {one_line(line.signer_name)}; waits until {until}.", ""]
    match asked:
        case GrantAsked():
            return [*head, *_grant(asked, zone)]
        case RightAsked():
            return [*head, *_right(asked, zone)]
        case OwnerAsked() if len(asked.words) == WORD_COUNT:
            return [*head, *_words_to_tap(asked.words)]
        case OwnerAsked() | ApproverAsked():
            return [*head, *_words(asked.words, "Their own screen shows the same six words:")]
        case RecoveryAsked():
            first = [] if asked.is_first else ["It takes the place of the one that counts now."]
            return [*head, *first, *_words(asked.words, "The paper has the same six words:")]
        case RemovalAsked():
            return [*head, "All their browsers end at once, and their keys confirm nothing more."]
        case AgencyAsked():
            return [*head, "Its requests will be told here again."]
        case SettingsAsked():
            return [*head, *_settings(asked)]


def _right(asked: RightAsked, zone: tzinfo | None) -> list[str]:
    what = ", ".join(PARTS[one] for one in asked.what)
    told = [f"For {WHOSE[asked.holder]}: {what}, until {time_text(asked.until_ms, zone)}."]
    if asked.holder != "owner":
        told.append("What they see they can keep.")
    if len(asked.words) == WORD_COUNT:
        return [*told, *_words_to_tap(asked.words)]
    if not asked.words:
        return told
    return [*told, *_words(asked.words, "Their own screen shows the same six words:")]


def household_lines(household: HouseholdNow, zone: tzinfo | None) -> list[str]:
    """Return who lives there."""
    lines = ["Owners:"]
    lines += [f"  {one_line(o.name)}{' (you)' if o.is_you else ''}" for o in household.owners]
    lines += ["", "Your browsers, and all guests and players:"]
    for browser in household.browsers:
        until = "" if browser.until_ms is None else f", until {time_text(browser.until_ms, zone)}"
        kind = " (this one)" if browser.is_this else HOLDERS[browser.holder]
        lines.append(f"  {one_line(browser.name)}{kind}{until}")
    lines += ["", "Your keys that confirm from anywhere:"]
    lines += [f"  {one_line(one.name)}: {' '.join(one.words)}" for one in household.approvers]
    if not household.approvers:
        lines.append("  none")
    words = " ".join(household.recovery_words)
    lines += ["", f"Recovery key: {words or 'none: make one with `doorward recovery`'}"]
    return lines


def _grant(asked: GrantAsked, zone: tzinfo | None) -> list[str]:
    until = time_text(asked.not_after_ms, zone)
    return [
        *asking_lines(asked, zone),
        "",
        *leaving_lines(asked, zone),
        "",
        "If you say yes, a number that nobody can read is written in the public log; then it is",
        f"sealed and sent, by {until} or never. You can take it back.",
        "What the agency has downloaded by then, it can only be asked to delete.",
    ]


def asking_lines(asked: GrantAsked, zone: tzinfo | None) -> list[str]:
    """Return who asks for what, and what they promise."""
    example = ["THIS IS AN INVENTED TOWN'S REGISTER: an example, not the police.", ""]
    danger = ["EMERGENCY. The danger that they state:", *_indented(asked.danger), ""]
    lines = [
        *(example if asked.is_example else []),
        *(danger if asked.danger else []),
        f"Agency:    {one_line(asked.agency)}",
        f"Officers:  {one_line(asked.officer_name)}, and {one_line(asked.cosigner_name)}",
        f"Contact:   {one_line(asked.contact)}",
        f"Case:      {one_line(asked.case_number)} ({asked.incident_type.replace('_', ' ')})",
        f"Asked for: {span_text(asked.asked_from_ms, asked.asked_to_ms, zone)}",
        "What they write:",
        *_indented(asked.text),
    ]
    if asked.reason:
        lines += ["Why they ask for so long a time:", *_indented(asked.reason)]
    shared = "with a prosecutor" if asked.onward_sharing == "prosecutor" else "with nobody"
    return [
        *lines,
        f"They promise to keep it for {asked.retention_days} days at most, and share it {shared}.",
    ]


def leaving_lines(asked: GrantAsked, zone: tzinfo | None) -> list[str]:
    """Return what would leave, and who could open it."""
    minutes, seconds = divmod(sum(c.to_ms - c.from_ms for c in asked.clips) // 1000, 60)
    sound = "WITH SOUND" if asked.has_audio else "no sound"
    lines = [f"WHAT LEAVES: {minutes} min {seconds} s, {sound}"]
    for number, clip in enumerate(asked.clips, 1):
        lines += clip_lines(clip, number, zone)
    given = [
        f"{what} {one_line(value)}"
        for what, value in (
            ("name", asked.given_name),
            ("address", asked.given_address),
            ("contact", asked.given_contact),
        )
        if value
    ]
    return [
        *lines,
        f"Of yourself:  {'; '.join(given) or 'nothing'}",
        f"Who can open it: {one_line(asked.agency)}'s keys, and nobody else:",
        f"  {', '.join(asked.key_fingerprints)}",
    ]


def clip_lines(clip: RequestedClip, number: int, zone: tzinfo | None) -> list[str]:
    """Return what of one clip would leave."""
    whole = "the whole recording" if clip.is_whole else "a part of the recording"
    heard = ", with sound" if clip.has_sound else ""
    span = span_text(clip.from_ms, clip.to_ms, zone)
    lines = [f"  {number}. {span}: {whole}{heard}{TIMES[clip.time]}"]
    if clip.problem:
        lines.append(f"     CAN'T BE GIVEN: {one_line(clip.problem)}")
    return lines


def span_text(from_ms: int, to_ms: int, zone: tzinfo | None) -> str:
    """Return two moments as people read them."""
    return f"{time_text(from_ms, zone)} to {time_text(to_ms, zone)}"


def _settings(asked: SettingsAsked) -> list[str]:
    lines = [
        f"A mask that was there would be gone: {_corners(polygon)}" for polygon in asked.removed
    ]
    lines += [f"A new mask: {_corners(polygon)}" for polygon in asked.added]
    lines += [f"A mask that stays: {_corners(polygon)}" for polygon in asked.kept]
    lines += [
        f"{SETTING_NAMES.get(one.name, one_line(one.name))}: {_value(one.name, one.before)}, "
        f"then {_value(one.name, one.after)}{' (MORE THAN BEFORE)' if one.is_wider else ''}"
        for one in asked.changes
    ]
    lines += [f"Motion zone {one_line(name)}: {_corners(corners)}" for name, corners in asked.zones]
    return [*lines, "Corners are x,y in thousandths of the picture, from the top left."]


SETTING_NAMES = {
    "is_opted_in": "Requests of police are told",
    "has_reminder": "One reminder of an open request",
    "cell": "The doorbell's place (H3 cell)",
    "is_motion_on": "Motion makes recordings",
    "zones": "Motion zones (none: the whole picture)",
    "sensitivity": "Sensitivity for motion (1 to 10)",
    "min_size_pmyr": "Least size of motion",
    "min_time_ms": "Least time of motion",
    "pre_roll_ms": "Recorded before a trigger",
    "post_roll_ms": "Recorded after a trigger",
    "longest_ms": "Longest recording",
    "keep_days": "Kept for",
    "is_sound_in_live_view": "Those who watch can listen",
    "is_sound_in_clips": "Recordings carry sound",
    "is_microphone_off": "Microphone kept off",
    "gaps_reported": "Gaps in ten minutes that are told",
    "notice_contact": "What passers-by read: whom to ask",
}


def _value(key: str, value: str | int | bool) -> str:
    """Return a setting's value as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if key.endswith("_ms"):
        return f"{int(value) / 1000:g} s"
    if key == "min_size_pmyr":
        return f"{int(value) / 100:g} % of the picture"
    if key == "keep_days":
        return f"{value} days"
    return one_line(str(value)) or "none"


def _words(words: Sequence[str], says: str) -> list[str]:
    return [says, "", f"  {' '.join(one_line(word) for word in words)}", "",
            "Say yes only if they are the same."]  # fmt: skip


def _words_to_tap(words: Sequence[str]) -> list[str]:
    return ["On their own screen these four words are found, in this order:", "",
            f"  {' '.join(one_line(word) for word in words)}", "",
            "Say yes only once it says that all four are right."]  # fmt: skip


def _corners(polygon: Sequence[tuple[int, int]]) -> str:
    return " ".join(f"{x},{y}" for x, y in polygon)


def _indented(text: str) -> list[str]:
    lines = plain(text).splitlines() or [""]
    return [
        piece
        for line in lines
        for piece in textwrap.wrap(line, WIDTH, initial_indent="  | ", subsequent_indent="  | ")
        or ["  |"]
    ]


def one_line(text: str) -> str:
    """Return a text of somebody else's on one line."""
    return plain(text).replace("\n", " ")


def time_text(wall_ms: int, zone: tzinfo | None) -> str:
    """Return a moment as people read it."""
    moment = datetime.fromtimestamp(wall_ms / 1000, zone).astimezone(zone)
    return moment.strftime("%a %Y-%m-%d %H:%M:%S %Z").strip()


def _kind(line: WaitingLine) -> str:
    return str(type(line.asked).__struct_config__.tag)
