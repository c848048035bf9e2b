"""Forms of a report: text for officers, and JSON for programs."""

import json
from dataclasses import dataclass
from typing import Any

from firmware.protocol.grants import GrantTerms, Statement
from firmware.protocol.requests import EvidenceRequest
from relay.verify.checks import Check, Result
from relay.verify.facts import facts_of, picture_moment
from relay.verify.readings import Reading
from relay.verify.recordings import Recording
from relay.verify.report import EvidenceDocuments, Report
from relay.verify.wall_time import moment

WORDS_OF_ONWARD = {"none": "nobody", "prosecutor": "the prosecutor"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportLine:
    """One line from the documents, raw: `visible` must be applied before it is displayed."""

    label: str
    text: str


def visible(text: str) -> str:
    """Return untrusted text with control, invisible and bidirectional characters made visible."""
    return "".join(
        char if char.isprintable() else f"[U+{ord(char):04X}]" for char in text.replace("\n", " ")
    )


def lines_of(report: Report) -> list[str]:
    """Return the report for people."""
    lines = []
    if report.example is not None:
        lines = [f"AN INVENTED TOWN ({visible(report.example)}): EVIDENCE OF NOTHING", ""]
    lines += [f"{_result(check)}  {check.what}{_detail(check)}" for check in report.checks]
    lines += [
        "",
        *(f"{said.label:<11} {visible(said.text)}" for said in asked_and_granted(report.papers)),
    ]
    for recording in report.recordings:
        lines += ["", f"{recording.name}:"]
        lines += [f"  {fact}" for fact in [*facts_of(recording), *_pictures(recording)]]
    if report.readings:
        lines += ["", "C2PA's own reader, apart from Doorward's checks:"]
        lines += [f"  {_reading(reading)}" for reading in report.readings]
    if report.evidence.beside:
        beside = ", ".join(visible(name) for name in report.evidence.beside)
        lines += ["", f"not part of the evidence, and not looked at: {beside}"]
    code = report.exit_code
    return [*lines, "", f"result {code.value}: {code.words}"]


def _reading(reading: Reading) -> str:
    by = "" if reading.reader is None else f" ({reading.reader})"
    verdict = "REFUSED, " if reading.is_refused else ""
    return f"{reading.file}: {verdict}{visible(reading.words)}{by}"


def _result(check: Check) -> str:
    return check.result.value.ljust(max(len(result.value) for result in Result))


def asked_and_granted(papers: EvidenceDocuments) -> list[ReportLine]:
    """Return the lines of the request and the grant, as the documents have them."""
    lines = [] if papers.request is None else asked(papers.request)
    return lines if papers.statement is None else [*lines, *granted(papers.statement)]


def asked(request: EvidenceRequest) -> list[ReportLine]:
    """Return the request's lines."""
    officers = f"{request.officer_name}, with {request.cosigner_name}, of {request.agency}"
    window = f"{moment(request.from_ms)} to {moment(request.to_ms)}"
    cells = f"{len(request.cells)} map cell" + ("s" if len(request.cells) > 1 else "")
    onward = WORDS_OF_ONWARD[request.onward_sharing]
    return [
        ReportLine(label="asked by", text=officers),
        ReportLine(label="contact", text=request.contact),
        ReportLine(label="case", text=f"{request.case_number} ({words_of(request.incident_type)})"),
        ReportLine(label="asked on", text=moment(request.created_ms)),
        ReportLine(label="asked for", text=f"{window}, in {cells}"),
        ReportLine(label="in words", text=request.text),
        *_shown("danger", request.danger),
        *_shown("reason", request.reason),
        ReportLine(
            label="promised", text=f"kept {request.retention_days} days, passed on to {onward}"
        ),
    ]


def _shown(label: str, text: str) -> list[ReportLine]:
    return [ReportLine(label=label, text=text)] if text else []


def words_of(name: str) -> str:
    """Return a protocol name as text."""
    return name.replace("_", " ")


def granted(statement: Statement) -> list[ReportLine]:
    """Return the grant's lines; none for another statement."""
    terms = statement.terms
    if not isinstance(terms, GrantTerms):
        return []
    sound = "with" if terms.has_audio else "without"
    count = f"{len(terms.clips)} recording" + ("s" if len(terms.clips) > 1 else "")
    until = moment(statement.not_after_ms)
    return [
        ReportLine(label="granted by", text=f"the owner of doorbell {statement.device}"),
        ReportLine(label="granted", text=f"{count}, {sound} sound, to {terms.recipient.agency}"),
        ReportLine(label="not after", text=f"{until} (until then the doorbell took the grant)"),
        *_shown("owner says", ", ".join(filter(None, _identity(terms)))),
    ]


def _identity(terms: GrantTerms) -> list[str]:
    return [terms.identity.name, terms.identity.address, terms.identity.contact]


def json_of(report: Report) -> str:
    """Return the report for programs."""
    told: dict[str, Any] = {  # Any: JSON
        "v": 1,
        "example": report.example,
        "exit_code": report.exit_code.value,
        "result": report.exit_code.words,
        "package_sha256": report.evidence.sealed_sha256,
        "checks": [
            {
                "kind": check.kind.name.lower(),
                "code": check.kind.value,
                "what": check.what,
                "result": check.result.value.lower(),
                "detail": check.detail,
            }
            for check in report.checks
        ],
        "recordings": [_recording_json(recording) for recording in report.recordings],
        "c2pa": [
            {
                "file": reading.file,
                "reader": reading.reader,
                "state": reading.state,
                "problems": list(reading.problems),
                "is_refused": reading.is_refused,
            }
            for reading in report.readings
        ],
        "not_looked_at": list(report.evidence.beside),
    }
    return json.dumps(told, indent=1, ensure_ascii=True)


def _recording_json(recording: Recording) -> dict[str, Any]:  # Any: JSON
    return {
        "file": recording.name,
        "sha256": recording.file_sha256,
        "manifest_digest": recording.manifest_digest,
        "clip_id": recording.manifest.clip_id,
        "device": recording.manifest.device,
        "started_ms": recording.manifest.started_ms,
        "is_clock_trusted": recording.manifest.is_clock_trusted,
        "first_gop": recording.part.first_gop,
        "gop_count": recording.part.gop_count,
        "gops_recorded": len(recording.manifest.gops),
        "has_sound": recording.has_sound,
        "pictures": len(recording.picture_times_90k),
        "facts": facts_of(recording),
    }


def _pictures(recording: Recording) -> list[str]:
    times = recording.picture_times_90k
    first, last = (picture_moment(recording, pts) for pts in (times[0], times[-1]))
    return [
        f"first picture {first}, last {last}",
        f"SHA-256 of the file {recording.file_sha256}",
    ]


def _detail(check: Check) -> str:
    return f": {visible(check.detail)}" if check.detail else ""
