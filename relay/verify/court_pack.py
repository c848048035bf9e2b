"""The court pack: a verification report as PDF, for a court.

It says what is proven and what is not, how anybody can check it again, and drafts the certificate
that a person may sign under the (US) Federal Rules of Evidence 902(13) and 902(14). What it says
about recordings is taken from a `Report`, so nothing that fails is told as a fact.
"""

from importlib.metadata import PackageNotFoundError, version

from firmware.protocol.encoding import sha256_hex
from relay.verify.checks import Exit, Result
from relay.verify.court_layout import Pack
from relay.verify.court_texts import (
    CERTIFICATE,
    GLOSSARY,
    LIMITS,
    NOTICE,
    REPEAT,
    REPEAT_COMMANDS,
)
from relay.verify.document_reader import clip_numbers
from relay.verify.facts import PER_SECOND_90K, facts_of, picture_moment
from relay.verify.recordings import Recording
from relay.verify.report import Report
from relay.verify.report_text import asked, granted, words_of

TITLE = "Evidence from a doorbell"


def court_pack(report: Report) -> bytes:
    """Return the PDF; the same report always gives the same bytes."""
    banner = None
    if report.example is not None:
        banner = f"MADE-UP EXAMPLE ({report.example}): EVIDENCE OF NOTHING"
    pack = Pack(title=f"{TITLE}: {_case(report)}", footer=_footer(report), banner=banner)
    _cover(pack, report)
    _asked(pack, report)
    _given(pack, report)
    _recordings(pack, report)
    _checks(pack, report)
    _repeat(pack)
    _certificate(pack, report)
    _glossary(pack)
    return pack.bytes()


def _case(report: Report) -> str:
    request = report.papers.request
    return "case unknown" if request is None else f"case {request.case_number}"


def _footer(report: Report) -> str:
    return f"Court pack, {_case(report)}. Fingerprint of the evidence: {_fingerprint(report)[:32]}"


def _fingerprint(report: Report) -> str:
    """Return SHA-256 over the list of the files' digests: the same for a package and its files."""
    files = report.evidence.files
    listed = "".join(f"{files[name].sha256_hex()}  {name}\n" for name in sorted(files))
    return sha256_hex(listed.encode())


def _program() -> str:
    try:
        return f"doorward-verify {version('doorward')}"
    except PackageNotFoundError:
        return "doorward-verify (not installed)"


def _cover(pack: Pack, report: Report) -> None:
    pack.cover(TITLE, "Court pack: what was checked, and what was found")
    pack.box(_verdict(report))
    request, statement = report.papers.request, report.papers.statement
    rows = [
        ("Case", "unknown" if request is None else request.case_number),
        ("Incident", "unknown" if request is None else words_of(request.incident_type)),
        ("Asked by", "unknown" if request is None else _officers(report)),
        ("Doorbell", "unknown" if statement is None else statement.device),
        ("Recordings", _count(report)),
        ("Checked with", _program()),
    ]
    pack.pairs(rows)
    pack.pairs(
        [
            ("Fingerprint", _fingerprint(report)),
            (
                "Package",
                report.evidence.sealed_sha256 or "not at hand: its opened files were checked",
            ),
        ],
        is_mono=True,
    )
    pack.text(
        "This pack describes recordings that a doorbell made, that its owner gave to the agency "
        "named here, and that were checked on a computer without a network. It was written by a "
        "program. A person signs for it, if at all, on the certificate near the end.",
        "The fingerprint is SHA-256 over the list of all files with their digests, as "
        "section 5 computes it.",
    )


def _verdict(report: Report) -> str:
    if report.exit_code is Exit.HOLDS:
        return "Every check was made, and holds."
    if report.exit_code is Exit.INCOMPLETE:
        return 'No check fails. "Not checked" and "not shown" say what could not be made or seen.'
    return f"A CHECK FAILS: {report.exit_code.words}. Don't rely on this evidence."


def _officers(report: Report) -> str:
    request = report.papers.request
    if request is None:
        return "unknown"
    return f"{request.officer_name}, with {request.cosigner_name}, of {request.agency}"


def _count(report: Report) -> str:
    present, proven = len(clip_numbers(report.evidence.files)), len(report.recordings)
    return f"{present}" if present == proven else f"{present}, of which {proven} hold"


def _asked(pack: Pack, report: Report) -> None:
    pack.page()
    pack.heading("1. What was asked, and by whom")
    request = report.papers.request
    if request is None:
        pack.text("The request can't be read.")
        return
    _doubt(pack, report, Exit.REQUEST)
    pack.pairs([(line.label.capitalize(), line.text) for line in asked(request)])
    pack.pairs([("Places (H3 cells)", ", ".join(request.cells))], is_mono=True)
    pack.pairs([("Request", request.id), ("SHA-256", request.digest())], is_mono=True)
    pack.text(
        "The request is public. Two officers signed exactly this text with their passkeys; whether "
        "that holds is said in section 4. The owner could ignore it, and the agency can't see who "
        "did."
    )


def _doubt(pack: Pack, report: Report, kind: Exit) -> None:
    """Write that a document isn't proven, before its content."""
    if not all(check.holds for check in report.checks if check.kind is kind):
        pack.box("Not proven: not every check of this holds. See section 4.")


def _given(pack: Pack, report: Report) -> None:
    pack.heading("2. What was given")
    statement = report.papers.statement
    if statement is None:
        pack.text("The owner's grant can't be read.")
        return
    _doubt(pack, report, Exit.GRANT)
    pack.pairs([(line.label.capitalize(), line.text) for line in granted(statement)])
    pack.pairs([("Grant (SHA-256)", statement.digest())], is_mono=True)
    pack.text(
        "The owner signed this grant with a passkey, and confirmed it to the doorbell in a second "
        "way. The doorbell checked both before anything left it; its signature over the files "
        "says so. The owner's name is here only if the owner gave it."
    )


def _recordings(pack: Pack, report: Report) -> None:
    pack.heading("3. The recordings")
    if not report.recordings:
        pack.text("No recording is described, because a check of each one fails.")
    for recording in report.recordings:
        _recording(pack, recording)
    held = {recording.number for recording in report.recordings}
    for number in clip_numbers(report.evidence.files):
        if number not in held and report.recordings:
            pack.text(f"clip-{number}.mp4 is not described, because a check of it fails.")


def _recording(pack: Pack, recording: Recording) -> None:
    manifest, times = recording.manifest, recording.picture_times_90k
    pack.subheading(recording.name)
    pack.text("\n".join(f"• {fact}" for fact in facts_of(recording)))
    pack.pairs(
        [
            ("First picture", picture_moment(recording, times[0])),
            ("Last picture", picture_moment(recording, times[-1])),
            ("Pictures", str(len(times))),
            (
                "Doorbell's clock",
                "set" if manifest.is_clock_trusted else "NOT SET when it recorded",
            ),
        ]
    )
    pack.pairs(
        [
            ("File (SHA-256)", recording.file_sha256),
            ("Manifest (SHA-256)", recording.manifest_digest),
            ("Recording", manifest.clip_id),
        ],
        is_mono=True,
    )
    pack.text(
        "Each part begins with a complete picture. Its digest covers every picture of it and their "
        "times; the doorbell signed these digests when it had recorded."
    )
    first = recording.part.first_gop
    gops = manifest.gops[first : first + recording.part.gop_count]
    pack.table(
        ("Part", "Begins", "Pictures", "SHA-256 of the part"),
        [
            (str(first + place), _at(gop.first_pts_90k), str(gop.unit_count), gop.leaf)
            for place, gop in enumerate(gops, start=1)
        ],
        (8, 12, 11, 69),
        mono=frozenset({3}),
    )
    if recording.has_sound and manifest.sound_track is not None:
        begin = recording.part.first_span
        spans = manifest.sound_track.spans[begin : begin + recording.part.span_count]
        pack.table(
            ("Sound", "Begins", "Units", "SHA-256 of the part"),
            [
                (str(begin + place), _at(span.first_pts_90k), str(span.unit_count), span.leaf)
                for place, span in enumerate(spans, start=1)
            ],
            (8, 12, 11, 69),
            mono=frozenset({3}),
        )


def _at(ticks_90k: int) -> str:
    return f"{ticks_90k / PER_SECOND_90K:.2f} s"


def _checks(pack: Pack, report: Report) -> None:
    pack.heading("4. What was checked")
    pack.text(
        '"Holds" means: checked here, and right. "Not checked" means: what the check needs was '
        "not at hand. It does not mean that it holds."
    )
    pack.table(
        ("Check", "Result", "Detail"),
        [(check.what, check.result.value, check.detail) for check in report.checks],
        (46, 14, 40),
    )
    failed = [check for check in report.checks if check.result is Result.FAILS]
    pack.text(f"Result {report.exit_code.value}: {report.exit_code.words}.")
    if failed:
        pack.text(f"{len(failed)} of {len(report.checks)} checks fail.")
    pack.subheading("What this can't show")
    pack.text(*LIMITS)


def _repeat(pack: Pack) -> None:
    pack.heading("5. How to check it again")
    pack.text(*REPEAT)
    pack.code(*REPEAT_COMMANDS)
    pack.table(("Exit code", "Meaning"), [(str(code.value), code.words) for code in Exit], (14, 86))


def _certificate(pack: Pack, report: Report) -> None:
    pack.page()
    pack.heading("6. Certificate (draft)")
    if report.exit_code not in (Exit.HOLDS, Exit.INCOMPLETE):
        pack.box("No certificate is drafted, because a check fails.")
        return
    pack.box("DRAFT. NOT SIGNED. NOT LEGAL ADVICE.")
    pack.text(*NOTICE)
    names = ", ".join(f"{one.name} (SHA-256 {one.file_sha256})" for one in report.recordings)
    for paragraph in CERTIFICATE:
        pack.text(
            paragraph.format(
                program=_program(),
                files=names or "no recording",
                fingerprint=_fingerprint(report),
                case=_case(report),
                result=report.exit_code.words,
            )
        )
    pack.blanks("Executed on (date)", "At (place)", "Signature", "Name", "Position, employer")


def _glossary(pack: Pack) -> None:
    pack.page()
    pack.heading("7. Words")
    pack.pairs(list(GLOSSARY))
