"""The verification report: every check of one package, in a fixed order, and proven facts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from firmware.protocol.encoding import WireError, sha256_hex
from firmware.protocol.footage import ClipManifest
from firmware.protocol.grants import Statement
from firmware.protocol.register.register_file import WholeRegister
from firmware.protocol.requests import EvidenceRequest
from firmware.protocol.tlog.policy import Policy
from relay.verify import (
    authority_checks,
    date_checks,
    document_checks,
    identity_checks,
    log_checks,
    recordings,
)
from relay.verify.agency_key import KnownAgency
from relay.verify.authority_checks import AuthorityReader
from relay.verify.checks import Check, Exit, Result, exit_code_of, run
from relay.verify.document_reader import (
    Files,
    clip_numbers,
    device_certificate,
    request_unverified,
    signed_manifest,
    statement_unverified,
    terms_unverified,
    trimmed_part,
)
from relay.verify.evidence import Evidence
from relay.verify.provenance import check_provenance
from relay.verify.readings import Reading
from relay.verify.recordings import Recording

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustAnchors:
    """The reader's own trusted data; checks without their data aren't made."""

    agency: KnownAgency | None = None
    policy: Policy | None = None
    """Which logs and witnesses are believed."""
    fleet_ca: bytes | None = None
    """PEM of the CA that certified the doorbell."""
    register: WholeRegister | None = None
    """The whole register, where the package's own chain isn't to be, or can't be, the measure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceDocuments:
    """The content of readable documents, unverified: the checks tell what is proven."""

    request: EvidenceRequest | None
    statement: Statement | None
    device_serial: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The report on one package."""

    evidence: Evidence
    checks: tuple[Check, ...]
    recordings: tuple[Recording, ...]
    """Only those of which every check holds: what isn't proven isn't told as a fact."""
    papers: EvidenceDocuments
    example: str | None
    """The log of an invented town, if it is from there: then it is evidence of nothing."""
    readings: tuple[Reading, ...] = ()
    """C2PA's own reader's, if it was run: no check of Doorward's."""

    @property
    def exit_code(self) -> Exit:
        """The exit code of all checks together, and only then of C2PA's reader."""
        own = exit_code_of(self.checks)
        is_refused = any(reading.is_refused for reading in self.readings)
        return Exit.READER if is_refused and own in (Exit.HOLDS, Exit.INCOMPLETE) else own


def check_evidence(evidence: Evidence, given: TrustAnchors) -> Report:
    """Make every check."""
    files = evidence.files
    reader = AuthorityReader(files, given.policy, given.register)
    agency = _agency(reader, given)
    checks = [
        *_seal_checks(evidence),
        *_paper_checks(evidence, agency, given.fleet_ca),
        *_log_checks(reader),
    ]
    found: list[Recording] = []
    for number in clip_numbers(files):
        made, recording = _recording_checks(files, number, given.policy)
        checks += made
        if recording is not None:
            found.append(recording)
    return Report(
        evidence=evidence,
        checks=tuple(checks),
        recordings=tuple(found),
        papers=_papers(files),
        example=log_checks.example_origin(files),
    )


def _agency(reader: AuthorityReader, given: TrustAnchors) -> KnownAgency | None:
    """Return the asking agency: by the register, which also has an agency's older keys."""
    registered = log_checks.registered_agency(reader)
    is_same = given.agency is None or registered is None or given.agency.id == registered.id
    return registered or given.agency if is_same else given.agency


def _seal_checks(evidence: Evidence) -> list[Check]:
    if evidence.header is None:
        return []
    what = "the package was sealed to this agency, and is complete and unaltered"
    return [Check(kind=Exit.PACKAGE, what=what, result=Result.HOLDS)]


def _paper_checks(
    evidence: Evidence, agency: KnownAgency | None, fleet_ca: bytes | None
) -> list[Check]:
    files = evidence.files
    trimmed = [f"clip-{n}.mp4" for n in clip_numbers(files) if f"trim-{n}.json" in files]
    return [
        run(
            Exit.PACKAGE,
            "every file is, to the last byte, the one that the doorbell packed",
            lambda: document_checks.check_files(evidence, trimmed),
        ),
        run(
            Exit.DEVICE,
            "the certificate is of the doorbell that the grant names",
            lambda: document_checks.check_device(files),
        ),
        run(
            Exit.DEVICE,
            "the fleet issued the doorbell's certificate",
            lambda: document_checks.check_fleet(files, fleet_ca),
        ),
        run(
            Exit.REQUEST,
            "two officers of the agency signed the request",
            lambda: document_checks.check_request(files, agency),
        ),
        run(
            Exit.GRANT,
            "the owner's passkey signed the grant, for this request and agency",
            lambda: document_checks.check_grant(evidence, agency),
        ),
        run(
            Exit.GRANT,
            "these are exactly the recordings that were granted",
            lambda: document_checks.check_clips_given(files),
        ),
    ]


def _log_checks(reader: AuthorityReader) -> list[Check]:
    files, policy = reader.files, reader.policy
    return [
        run(
            Exit.LOG,
            "the request, its officers and their agency stand in the public register",
            lambda: log_checks.check_register(files, policy),
        ),
        run(
            Exit.LOG,
            "the register's administrators let the agency and its officers ask",
            lambda: authority_checks.check_authority(reader),
        ),
        run(
            Exit.LOG,
            "their agreement and certificates had been public for long enough",
            lambda: authority_checks.check_ages(reader),
        ),
        run(
            Exit.LOG,
            "the release was committed to in the custody log",
            lambda: log_checks.check_release(files, policy),
        ),
        run(
            Exit.POLICY,
            "the logs signed their checkpoints, and enough witnesses cosigned them",
            lambda: log_checks.check_witnesses(files, policy),
        ),
    ]


def _recording_checks(
    files: Files, number: int, policy: Policy | None
) -> tuple[list[Check], Recording | None]:
    name = f"clip-{number}.mp4"
    pictures: list[int] = []
    has_sound: list[bool] = []

    def look_at_pictures() -> str:
        pictures.extend(recordings.check_pictures(files, number))
        return f"{len(pictures)} pictures"

    def listen() -> str:
        has_sound.append(recordings.check_sound(files, number))
        return "with sound" if has_sound[0] else "without sound"

    looks: list[tuple[Exit, str, Callable[[], str | None]]] = [
        (Exit.DEVICE, "the doorbell signed its description", lambda: _signature(files, number)),
        (Exit.GRANT, "it is what the owner gave", lambda: recordings.check_range(files, number)),
        (Exit.PICTURES, "its pictures are those that the doorbell recorded", look_at_pictures),
        (Exit.SOUND, "its sound is what was recorded and given, or left out", listen),
        (
            Exit.CAPTURE,
            "it was committed to in the custody log",
            lambda: log_checks.check_capture(files, number, policy),
        ),
        (
            Exit.CAPTURE,
            "its date lies between two moments that witnesses saw",
            lambda: date_checks.check_date(files, number, policy),
        ),
        (
            Exit.CAPTURE,
            "its doorbell was there a day before it, or longer",
            lambda: identity_checks.check_identity(files, number, policy),
        ),
        (
            Exit.PROVENANCE,
            "it carries the C2PA claim that it names, or none",
            lambda: check_provenance(files, number),
        ),
    ]
    made = [run(kind, f"{name}: {what}", look) for kind, what, look in looks]
    if any(check.result is Result.FAILS for check in made):
        return made, None
    return made, _recording(files, number, pictures, has_sound=has_sound[0])


def _signature(files: Files, number: int) -> str:
    manifest = recordings.check_signature(files, number)
    return f"recording number {manifest.counter}"


def _recording(files: Files, number: int, pictures: list[int], *, has_sound: bool) -> Recording:
    manifest: ClipManifest = recordings.check_signature(files, number)
    part = recordings.part_of(files, number, manifest)
    begin = manifest.gops[part.first_gop].first_pts_90k
    return Recording(
        number=number,
        manifest=manifest,
        manifest_digest=sha256_hex(signed_manifest(files, number).manifest.encode()),
        part=part,
        is_trimmed=trimmed_part(files, number) is not None,
        has_sound=has_sound,
        is_sound_given=terms_unverified(files).has_audio,
        file_sha256=files[f"clip-{number}.mp4"].sha256_hex(),
        picture_times_90k=tuple(begin + pts for pts in pictures),
    )


def _papers(files: Files) -> EvidenceDocuments:
    return EvidenceDocuments(
        request=_readable(lambda: request_unverified(files)),
        statement=_readable(lambda: statement_unverified(files)),
        device_serial=_readable(lambda: f"{device_certificate(files).certificate.serial_number:x}"),
    )


def _readable(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except WireError:
        return None
