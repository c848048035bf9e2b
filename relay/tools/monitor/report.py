"""The transparency report, deterministic: the same entries give the same bytes.

It holds no time of now and no names of machines. Times are those of the witnesses, as of the last
stamps: whether an answer is overdue by now, each reader sees from the time by which it was due.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from firmware.protocol.custody import FeedLegalProcessLeaf, LegalProcessLeaf
from firmware.protocol.register.records import ProgramRecord
from relay.tools.monitor.custody_rules import CustodyState
from relay.tools.monitor.log_reader import ReadLog
from relay.tools.monitor.register_rules import Replayed
from relay.tools.monitor.slots import Slots
from relay.tools.monitor.time_texts import time_text
from relay.tools.monitor.violations import Violation

Report = dict[str, Any]  # Any: plain JSON


def make_report(
    replayed: Replayed,
    custody: ReadLog,
    state: CustodyState,
    violations: list[Violation],
    uncounted: list[Violation],
) -> Report:
    """Return the report as plain JSON."""
    register, due = replayed.register, state.outcomes.due()
    return {
        "v": 1,
        "is_example": register.is_example,
        "logs": [_log_part(replayed.log), _log_part(custody)],
        "agencies": [
            {
                **_agency_part(replayed, state, agency),
                "outcomes": _outcomes_part(state, agency, due.get(agency, [])),
            }
            for agency in sorted(_agencies(replayed))
        ],
        "register": {
            "changes": register.widenings,
            "limit_changes": len(register.limits) - 1 if register.limits else 0,
            "programs": [_program_part(replayed, record) for record in register.programs],
            "requests": len(register.requests),
            "moderation_refusals": dict(sorted(_by_category(replayed).items())),
        },
        "custody": {
            "downloads": state.downloads.total(),
            "erased": dict(sorted(Counter(state.erased.values()).items())),
            "slots": _slots_part(state.slots),
            "legal_process": _legal_part(state.legal),
            "feed_legal_process": _legal_part(state.feed_legal),
            "feed_dangers": dict(sorted(Counter(state.feed_dangers.values()).items())),
            "credits": _credits_part(state),
        },
        "doorbells": {
            "releases": len(state.claims.releases),
            "key_changes": len(state.claims.key_changes),
            "refusals": {
                quarter: dict(sorted(counts.items()))
                for quarter, counts in sorted(state.claims.refusals.items())
            },
        },
        "violations": _entries_part(violations),
        "uncounted": _entries_part(uncounted),
    }


def as_json(report: Report) -> bytes:
    """Return the report's bytes."""
    return json.dumps(report, indent=2, ensure_ascii=False, sort_keys=True).encode() + b"\n"


def as_markdown(report: Report) -> str:
    """Return the report for people."""
    lines = ["# Transparency report", ""]
    if report["is_example"]:
        lines += ["**An invented town. Nothing here happened.**", ""]
    for log in report["logs"]:
        lines.append(f"- {_safe(log['origin'])}: {log['size']} entries, root `{log['root']}`, "
                     f"as of {log['as_of']}")  # fmt: skip
    lines += ["", "## Does it hold?", "", *_holding_lines(report), "", "## Agencies", ""]
    for agency in report["agencies"]:
        lines += _agency_lines(agency)
    lines += _custody_lines(report)
    return "\n".join(lines) + "\n"


def _holding_lines(report: Report) -> list[str]:
    wrong, uncounted = (
        [f"- **{_safe(one['log'])} entry {one['index']}**: {_safe(one['what'])}" for one in entries]
        for entries in (report["violations"], report["uncounted"])
    )
    which = "Every entry that counts" if uncounted else "Every entry"
    lines = wrong or [f"{which} keeps the rules that can be checked from outside."]
    told = [f"- {what}" for what in report["custody"]["slots"]["told"]]
    return [*lines, *(["", *uncounted] if uncounted else []), *(["", *told] if told else [])]


def _agency_lines(agency: Report) -> list[str]:
    lines = [f"### {_safe(agency['name'])} ({agency['id']})", ""]
    for one in agency["agreements"]:
        what = "suspended" if one["is_suspended"] else f"{one['begins']} to {one['ends']}"
        lines.append(
            f"- agreement {one['version']}: {what}, public since {one['public_since']}, "
            f"text `{one['text_sha256']}`"
        )
    counts = agency["requests"]
    lines.append(
        f"- requests: {counts['published']} published, of them {counts['emergency']} emergencies, "
        f"{counts['renewals']} renewals and {counts['withdrawn']} withdrawn"
    )
    refused = ", ".join(f"{_safe(k)} {v}" for k, v in agency["moderation_refusals"].items())
    lines.append(f"- refused by moderators: {refused or 'none'}")
    bands = ", ".join(f"{quarter}: {band}" for quarter, band in agency["received"].items())
    lines.append(f"- answers of doorbells received: {bands or 'none'}")
    lines.append(f"- downloads: {agency['downloads']}")
    asked = agency["deletions"]
    lines.append(
        f"- deletions: {asked['asked']} asked, {asked['deleted']} done, {asked['kept']} refused, "
        f"{asked['late']} answered late, **{asked['unanswered']} unanswered**"
    )
    lines += [f"- of them due by {due}: {count}" for due, count in asked["due_by"].items()]
    filed = agency["outcomes"]
    lines.append(
        f"- outcomes: {filed['used']} used, {filed['not_used']} not used, "
        f"{filed['resolved']} of them closed early as resolved, {filed['late']} filed late"
    )
    lines += [f"- outcomes to be filed by {due}: {count}" for due, count in filed["due_by"].items()]
    return [*lines, ""]


def _custody_lines(report: Report) -> list[str]:
    custody, register = report["custody"], report["register"]
    slots = custody["slots"]
    lines = [
        "## The relay",
        "",
        f"- downloads: {custody['downloads']}",
        f"- slots up to {slots['up_to']}: {slots['logged']}",
        f"- slots missing: {slots['missing']}; late: {slots['late']}",
        f"- changes that two administrators signed, the charter among them: {register['changes']}",
        f"- changes of limits: {register['limit_changes']}",
    ]
    lines += [f"- erased, {why}: {count}" for why, count in custody["erased"].items()]
    for what in ("legal_process", "feed_legal_process"):
        about = "" if what == "legal_process" else " about the neighbours' feed"
        lines += [
            f"- legal process{about} {one['quarter']}: {one['kind']}, "
            f"yielded {', '.join(one['yielded'])}, {one['count']} times"
            for one in custody[what]
        ]
    lines += [
        f"- posts of {agency} shown before a moderator, as life was in danger: {count}"
        for agency, count in custody["feed_dangers"].items()
    ]
    lines += [
        f"- credits, {one['subject']} {one['name']}: `{one['sha256']}`"
        for one in custody["credits"]
    ]
    lines += [
        f"- {one['program']} {_safe(one['version'])}, public since {one['public_since']}: "
        f"`{one['sha256']}`"
        for one in register["programs"]
    ]
    return [*lines, "", *_doorbell_lines(report)]


def _doorbell_lines(report: Report) -> list[str]:
    """Return what doorbells said: the relay has only written it down, within its quotas."""
    claims = report["doorbells"]
    lines = [
        "## What doorbells claim",
        "",
        "A doorbell may be hostile: none of this says anything about the relay.",
        "",
        f"- releases that they committed to: {claims['releases']}",
        f"- owners let in by a recovery code: {claims['key_changes']}",
    ]
    for quarter, counts in claims["refusals"].items():
        told = ", ".join(f"{check} {count}" for check, count in counts.items())
        lines.append(f"- statements that they refused in {quarter}: {told}")
    return lines


def _log_part(log: ReadLog) -> Report:
    checkpoint = log.newest.checkpoint
    return {
        "origin": log.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "as_of": time_text(log.as_of_ms),
    }


def _entries_part(entries: list[Violation]) -> list[Report]:
    return [{"log": one.log, "index": one.index, "what": one.what} for one in entries]


def _program_part(replayed: Replayed, record: ProgramRecord) -> Report:
    program = record.program
    return {
        "program": program.program,
        "version": program.version,
        "sha256": program.sha256,
        "public_since": time_text(replayed.log.seen_ms(record.index)),
    }


def _agencies(replayed: Replayed) -> set[str]:
    return set(replayed.register.agreements)


def _agency_part(replayed: Replayed, state: CustodyState, agency: str) -> Report:
    register = replayed.register
    records = register.agreements[agency]
    requests = [one for one in register.requests.values() if one.request.agency == agency]
    return {
        "id": agency,
        "name": records[-1].agreement.name,
        "agreements": [
            {
                "version": record.agreement.version,
                "begins": time_text(record.agreement.begins_ms),
                "ends": time_text(record.agreement.ends_ms),
                "public_since": time_text(replayed.log.seen_ms(record.index)),
                "text_sha256": record.agreement.text_sha256,
                "is_suspended": record.is_suspended,
            }
            for record in records
        ],
        "requests": {
            "published": len(requests),
            "emergency": sum(one.request.is_emergency for one in requests),
            "renewals": sum(one.request.renewed_id is not None for one in requests),
            "withdrawn": sum(one.is_withdrawn for one in requests),
        },
        "moderation_refusals": {
            category: count
            for (of, category), count in sorted(register.refusals.items())
            if of == agency
        },
        "received": {
            quarter: band for (of, quarter), band in sorted(state.bands.items()) if of == agency
        },
        "downloads": state.downloads[agency],
        "deletions": _deletions_part(state, agency),
    }


def _deletions_part(state: CustodyState, agency: str) -> Report:
    mine = [one for one in state.deletions.values() if one.agency == agency]
    answers = Counter(one.answer.answer for one in mine if one.answer is not None)
    due = Counter(time_text(one.answer_by_ms) for one in mine if one.answer is None)
    return {
        "asked": len(mine),
        "deleted": answers["deleted"],
        "kept": answers["kept"],
        "late": sum(one.is_late for one in mine),
        "unanswered": due.total(),
        "due_by": dict(sorted(due.items())),
    }


def _outcomes_part(state: CustodyState, agency: str, due_ms: list[int]) -> Report:
    mine = [one for one in state.outcomes.filed.values() if one.told.agency == agency]
    kinds = Counter(one.told.outcome for one in mine)
    due = Counter(time_text(one) for one in due_ms)
    return {
        "used": kinds["used"],
        "not_used": kinds["not_used"],
        "resolved": sum(one.told.is_resolved for one in mine),
        "late": sum(one.is_late for one in mine),
        "due_by": dict(sorted(due.items())),
    }


def _slots_part(slots: Slots) -> Report:
    return {
        "logged": slots.logged,
        "up_to": "none" if slots.last is None else time_text(slots.end_ms(slots.last)),
        "missing": sum(run.count for run in slots.missing),
        "late": sum(run.count for run in slots.late),
        "told": slots.told(),
    }


def _credits_part(state: CustodyState) -> list[Report]:
    return [
        {"subject": subject, "name": name, "sha256": sha256}
        for (subject, name), sha256 in sorted(state.credits.items())
    ]


def _legal_part(served: Sequence[LegalProcessLeaf | FeedLegalProcessLeaf]) -> list[Report]:
    counts = Counter((one.quarter, one.kind, tuple(one.yielded)) for one in served)
    return [
        {"quarter": quarter, "kind": kind, "yielded": list(yielded), "count": count}
        for (quarter, kind, yielded), count in sorted(counts.items())
    ]


def _by_category(replayed: Replayed) -> dict[str, int]:
    total: defaultdict[str, int] = defaultdict(int)
    for (_, category), count in replayed.register.refusals.items():
        total[category] += count
    return total


def _safe(text: str) -> str:
    """Return a text from a log, escaped for Markdown."""
    return "".join(f"\\{char}" if char in "\\`*_{}[]()<>#+!|~" else char for char in text)
