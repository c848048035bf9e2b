"""The command line of `doorward-agency`: operations with an agency's keys on its own machine.

    doorward-agency keygen --id lakeland --also-key recovery --also-key desk --out KEYS
    doorward-agency agreement --keys KEYS --name "Lakeland Police" --origin TOWN/register
        --text agreement.md --vote LINK --gifts none --promotion none --begins 2026-12-10
        --days 365 --area AREA.geojson --out agreement.json
    doorward-agency enrol --agreement agreement.json --text agreement.md --out enrolment.json
    doorward-agency passkey --relay URL --invitation LINK --name NAME --out officer.json
    doorward-agency officer --key KEYS/agency-key.json --officer officer.json --out cert.json
    doorward-agency revoke-officer --key KEYS/agency-key.json --officer-id ID --origin ... --out ...
    doorward-agency deletion-answer --key KEYS/agency-key.json --package ID --deleted --reason ...
    doorward-agency deletion-answer --key KEYS/agency-key.json --draft deletion-draft.json --out ...
    doorward-agency open PACKAGE --key KEYS/agency-key.json --out DIR
        [--policy policy.txt --fleet-ca ca.pem --register register.tlog]
    doorward-agency verify FOLDER
    doorward-agency page --out verify.html

No private key leaves the machine: what these commands write for others is signed and public. `open`
opens evidence and checks it as `doorward-verify` does. `passkey` is an officer's: it alone speaks
to the relay, and wants the extra `officer`.
"""

import argparse
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from firmware.companion.authenticator.errors import PersonError
from firmware.protocol.command_line import ZERO, quiet_pipe
from firmware.protocol.custody import MAX_ANSWERED
from firmware.protocol.encoding import (
    ID_PATTERN,
    WireError,
    sha256_hex,
)
from firmware.protocol.register.change_rules import check_agreement
from firmware.protocol.register.entries import Agreement, SignedAgreement
from firmware.protocol.requests import Cell, OfficerRole
from relay.agency.keys import (
    MAX_TEXT_BYTES,
    AgencyEnrolment,
    AgencyKeys,
    DeletionDraft,
    OfficerFile,
    answer_deletion,
    certify,
    fingerprint_of,
    generate_agency,
    revoke_officer,
    sign_agreement,
    write_new_file,
)
from relay.tools.agency.area_command import (
    cells_in,
    check_groups,
    check_named_once,
    check_size,
    print_location,
)
from relay.tools.agency.passkey_command import add_passkey, passkey_lines
from relay.verify.agency_key import AgencyKey, KnownAgency
from relay.verify.checks import Exit
from relay.verify.cli import main as verify_main
from relay.verify.errors import AlteredPackage, UnreadablePackage
from relay.verify.file_reader import (
    read_document,
    read_evidence,
    read_key,
    read_policy,
    read_small,
    register_of,
)
from relay.verify.private_files import write_private_folder
from relay.verify.readings import read_clips
from relay.verify.report import TrustAnchors, check_evidence
from relay.verify.report_text import lines_of, visible
from relay.verify.saved_page import write_saved_page

DAY_MS = 24 * 3600 * 1000
EXIT_REFUSED = 2
ROLES: dict[OfficerRole, str] = {
    "officer": "sign requests",
    "approver": "sign requests, and approve emergencies,",
    "records": "look after evidence and file outcomes, but sign no request,",
    "admin": "look after the agency's people and settings, but sign no request,",
}
"""What each role may, in words."""


@quiet_pipe
def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["verify"]:
        return verify_main(words[1:])
    options = _parser().parse_args(words)
    try:
        code: int = options.run(options)
    except (WireError, PersonError) as error:
        print(f"doorward-agency: {error}", file=sys.stderr)
        return _code_of(error)
    except OSError as error:
        print(f"doorward-agency: {error.filename}: {error.strerror}", file=sys.stderr)
        return EXIT_REFUSED
    return code


def _code_of(error: WireError | PersonError) -> int:
    if isinstance(error, UnreadablePackage):
        return Exit.UNREADABLE.value
    return Exit.PACKAGE.value if isinstance(error, AlteredPackage) else EXIT_REFUSED


def _keygen(options: argparse.Namespace) -> int:
    out = Path(options.out)
    names = tuple(options.also_key)
    if len(set(names)) != len(names) or not all(_is_file_word(name) for name in names):
        raise WireError("--also-key: each has a name of its own, of a-z, 0-9 and -")
    made = generate_agency(options.id, also=names)
    out.mkdir(parents=True, exist_ok=True)
    write_new_file(out / "agency-key.json", made.key.encode(), mode=0o600)
    for name, key in made.opening_keys.items():
        write_new_file(out / f"sealing-key-{name}.json", key.encode(), mode=0o600)
    write_new_file(out / "agency-keys.json", made.public.encode(), mode=0o644)
    print(f"{out}/agency-key.json is secret: it signs in the agency's name and opens evidence.")
    for name in names:
        print(f"{out}/sealing-key-{name}.json is secret too: it opens evidence and signs nothing.")
    if not names:
        print("If agency-key.json is lost, nothing opens what was sent: --also-key makes another.")
    _print_fingerprints(made.public)
    return 0


def _agreement(options: argparse.Namespace) -> int:
    keys = Path(options.keys)
    key = read_document(AgencyKey, keys / "agency-key.json")
    public = read_document(AgencyKeys, keys / "agency-keys.json")
    begins_ms = _moment(options.begins)
    cells = _cells([*options.cells, *_words_in(options.cells_file)], "--cells")
    check_named_once(cells)
    print_location(options.cells_file, cells)
    agreement = Agreement(
        origin=options.origin,
        agency=key.agency,
        name=options.name,
        version=options.version,
        text_sha256=sha256_hex(_read_text(Path(options.text)).encode()),
        vote=options.vote,
        gifts=options.gifts,
        promotion=options.promotion,
        begins_ms=begins_ms,
        ends_ms=begins_ms + options.days * DAY_MS,
        signing_key=public.signing_key,
        sealing_keys=[one.key for one in public.sealing_keys],
        cells=sorted({*cells_in(options.area), *cells}) if options.area else cells,
        merged=[_cells(group.split(","), "--merged") for group in options.merged],
    )
    check_groups(agreement)
    check_size(agreement)
    signed = sign_agreement(key, agreement)
    write_new_file(Path(options.out), signed.encode(), mode=0o644)
    print(f"{options.out}: signed by {key.agency}. Go on with: doorward-agency enrol")
    return 0


def _enrol(options: argparse.Namespace) -> int:
    signed = read_document(SignedAgreement, Path(options.agreement))
    text = _read_text(Path(options.text))
    agreement = check_agreement(signed)
    if sha256_hex(text.encode()) != agreement.text_sha256:
        raise WireError(f"{options.text} isn't the text that the agreement was signed for")
    enrolment = AgencyEnrolment(signed=signed, text=text)
    write_new_file(Path(options.out), enrolment.encode(), mode=0o644)
    print(f"{options.out} is public: give it to the relay's operator.")
    print(
        f"Tell them by telephone that its signing key is {fingerprint_of(agreement.signing_key)},"
    )
    prints = ", ".join(fingerprint_of(one) for one in agreement.sealing_keys)
    print(f"and that evidence is sealed to {prints}.")
    return 0


def _officer(options: argparse.Namespace) -> int:
    key = read_document(AgencyKey, Path(options.key))
    officer = read_document(OfficerFile, Path(options.officer))
    not_after_ms = _now_ms() + options.days * DAY_MS
    signed = certify(key, officer, not_after_ms=not_after_ms, role=options.role)
    Path(options.out).write_bytes(signed.encode())
    name = visible(officer.name)
    print(
        f"{options.out}: {name} may {ROLES[options.role]} for {key.agency} for {options.days} days."
    )
    print("\n".join(passkey_lines(officer)))
    return 0


def _revoke_officer(options: argparse.Namespace) -> int:
    key = read_document(AgencyKey, Path(options.key))
    leaf = revoke_officer(key, options.officer_id, origin=options.origin)
    Path(options.out).write_bytes(leaf.encode())
    print(f"{options.out}: send it to the relay, POST /agency/officers/ID/revocation,")
    print("or let the relay's operator submit it: doorward-relay admin submit")
    return 0


def _deletion_answer(options: argparse.Namespace) -> int:
    key = read_document(AgencyKey, Path(options.key))
    draft = _deletion_draft(options)
    is_deleted = draft.answer == "deleted"
    signed = answer_deletion(
        key,
        *draft.packages,
        is_deleted=is_deleted,
        reason=draft.reason,
        answered_ms=_now_ms(),
    )
    Path(options.out).write_bytes(signed.encode())
    said = "was deleted" if is_deleted else "is kept"
    count = len(set(draft.packages))
    what = "the recording" if count == 1 else f"each of {count} recordings"
    print(f"{options.out}: says, signed and in public, that {what} {said}.")
    if options.draft is not None:
        print("\n".join([f"  {visible(draft.reason)}", *(f"  {one}" for one in draft.packages)]))
        print("A page of the relay wrote this draft: send the answer only if it is what you mean.")
    return 0


def _deletion_draft(options: argparse.Namespace) -> DeletionDraft:
    """Return the answer as a file or the options say it, never as both do."""
    has_answer = options.deleted or options.kept
    if options.draft is not None:
        if has_answer or options.reason is not None:
            raise WireError("--draft says what is answered: leave out --deleted, --kept, --reason")
        return read_document(DeletionDraft, Path(options.draft))
    if not has_answer or options.reason is None:
        raise WireError("--package wants --deleted or --kept as well, and --reason")
    return DeletionDraft(
        packages=[_id(one, "--package") for one in options.package],
        answer="deleted" if options.deleted else "kept",
        reason=options.reason,
    )


def _open(options: argparse.Namespace) -> int:
    """Open evidence and check it; the files are there whatever the report says of them."""
    package, key = Path(options.package), read_key(Path(options.key))
    given = TrustAnchors(
        agency=KnownAgency.of_key(key),
        policy=None if options.policy is None else read_policy(Path(options.policy)),
        fleet_ca=None if options.fleet_ca is None else read_small(Path(options.fleet_ca)),
        register=register_of(package, options.register),
    )
    evidence = read_evidence(package, key)
    out = Path(options.out)
    write_private_folder(out, evidence.files)
    report = check_evidence(evidence, given)
    report = replace(report, readings=read_clips(evidence.files, given.fleet_ca))
    print("\n".join(lines_of(report)))
    print(f"{len(evidence.files)} files in {out}; hand them on with `doorward-verify {out}`")
    return report.exit_code.value


def _page(options: argparse.Namespace) -> int:
    digest = write_saved_page(Path(options.out))
    print(f"{options.out}: open it in a browser; it needs no network, and sends nothing.")
    print(f"SHA-256 {digest}")
    return 0


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise WireError(f"--begins: a date or time such as 2026-12-10, not {text!r}") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def _read_text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(MAX_TEXT_BYTES + 1)
    if len(data) > MAX_TEXT_BYTES:
        raise WireError(f"{path}: an agreement's text has {MAX_TEXT_BYTES} bytes at most")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise WireError(f"{path}: an agreement's text is plain text (UTF-8)") from error


def _words_in(path: str | None) -> list[str]:
    return [] if path is None else _read_text(Path(path)).split()


def _cells(cells: list[str], option: str) -> list[str]:
    try:
        return msgspec.convert(cells, list[Cell])
    except msgspec.ValidationError as error:
        raise WireError(f"{option}: an H3 cell of resolution 9: {error}") from error


def _id(text: str, option: str) -> str:
    if re.fullmatch(ID_PATTERN.rstrip("$"), text) is None:
        raise WireError(f"{option}: 26 of a-z and 2-7, not {text!r}")
    return text


def _is_file_word(name: str) -> bool:
    return re.fullmatch(r"[a-z0-9-]{1,40}", name) is not None


def _print_fingerprints(keys: AgencyKeys) -> None:
    print(f"signing key {fingerprint_of(keys.signing_key)}")
    for one in keys.sealing_keys:
        print(f"sealing key {one.fingerprint}  {one.name}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="doorward-agency",
        description="Operations with an agency's own keys, on its own machine.",
        epilog="In this order: keygen, agreement, enrol; then officer for each officer's passkey. "
        "Each command explains itself: doorward-agency agreement --help. Exit codes of open and "
        f"verify are doorward-verify's; of the others 2: it couldn't be done. {ZERO}",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_keygen(commands)
    _add_agreement(commands)
    text = "put the signed agreement and its text into one file for the relay's operator"
    enrol = commands.add_parser("enrol", help=text, description=text)
    enrol.add_argument("--agreement", required=True, help="agreement.json")
    enrol.add_argument("--text", required=True, help="the text that it was signed for")
    enrol.add_argument("--out", required=True, help="enrolment.json")
    enrol.set_defaults(run=_enrol)
    add_passkey(commands)
    _add_officer(commands)
    text = "sign the revocation of an officer's certificates, for the register"
    revoking = commands.add_parser("revoke-officer", help=text, description=text)
    revoking.add_argument("--key", required=True, help="agency-key.json")
    revoking.add_argument("--officer-id", required=True, help="as the certificate names them")
    revoking.add_argument("--origin", required=True, help="of the register: relay.example/register")
    revoking.add_argument("--out", required=True, help="where the signed revocation goes")
    revoking.set_defaults(run=_revoke_officer)
    _add_deletion_answer(commands)
    open_ = commands.add_parser("open", help="open an evidence package and check it")
    open_.add_argument("package", help="the sealed file")
    open_.add_argument("--key", required=True, help="agency-key.json")
    open_.add_argument("--out", required=True, help="a new folder for what is inside")
    open_.add_argument("--policy", help="trusted logs and witnesses; without it not all is checked")
    open_.add_argument("--register", help="the whole register, if it isn't beside the package")
    open_.add_argument("--fleet-ca", help="ca.pem of the fleet; without it not all is checked")
    open_.set_defaults(run=_open)
    text = "check evidence that was opened, or a package: all that doorward-verify does"
    commands.add_parser("verify", help=text)  # main hands it on before anything is parsed
    page = commands.add_parser("page", help="save the page that opens and checks evidence offline")
    page.add_argument("--out", required=True, help="such as verify.html")
    page.set_defaults(run=_page)
    return parser


def _add_keygen(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "make an agency's keys; they stay where they are made"
    keygen = commands.add_parser("keygen", help=text, description=text)
    keygen.add_argument("--id", required=True, help="short name, such as lakeland")
    keygen.add_argument(
        "--also-key",
        action="append",
        default=[],
        metavar="NAME",
        help="one more key that opens evidence and signs nothing, such as recovery, to lie offline,"
        " or desk, for an officer's machine; may be given seven times",
    )
    keygen.add_argument("--out", required=True, help="folder for the key files")
    keygen.set_defaults(run=_keygen)


def _add_agreement(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "sign the agency's agreement: its text, area, duration and keys"
    agreement = commands.add_parser("agreement", help=text, description=text)
    agreement.add_argument("--keys", required=True, help="the folder that keygen wrote")
    agreement.add_argument("--name", required=True, help='full name, such as "Lakeland Police"')
    agreement.add_argument(
        "--origin",
        required=True,
        help="of the register, as its policy says: TOWN/register",
    )
    agreement.add_argument("--text", required=True, help="the agreement in words, a text file")
    agreement.add_argument(
        "--vote",
        required=True,
        metavar="LINK",
        help="https link to the vote of the agency's elected body, or none: nobody voted",
    )
    agreement.add_argument(
        "--gifts",
        required=True,
        choices=["none"],
        help="what the agency gets for taking part: there is no agreement with anything",
    )
    agreement.add_argument(
        "--promotion",
        required=True,
        choices=["none"],
        help="what the agency does for doorbells to be bought: as above",
    )
    agreement.add_argument("--begins", required=True, help="2026-12-10; seven days of notice count")
    agreement.add_argument("--days", type=int, default=365, help="how long it holds, 366 at most")
    agreement.add_argument("--version", type=int, default=1, help="one more than the last one")
    agreement.add_argument("--cells", nargs="+", default=[], help="H3 cells of resolution 9")
    agreement.add_argument("--cells-file", help="the same, one a line")
    agreement.add_argument("--area", metavar="AREA.geojson", help="the jurisdiction as polygons")
    agreement.add_argument(
        "--merged",
        action="append",
        default=[],
        metavar="CELL,CELL",
        help="cells with few addresses, asked for together only; may be given again",
    )
    agreement.add_argument("--out", required=True, help="agreement.json")
    agreement.set_defaults(run=_agreement)


def _add_officer(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "certify an officer's passkey"
    officer = commands.add_parser("officer", aliases=["certify"], help=text, description=text)
    officer.add_argument("--key", required=True, help="agency-key.json")
    officer.add_argument("--officer", required=True, help="officer.json, from the officer")
    officer.add_argument(
        "--role",
        choices=tuple(ROLES),
        default="officer",
        help="an approver may co-sign emergencies as well; records looks after evidence and files "
        "outcomes, admin after the agency's people, and neither signs requests",
    )
    officer.add_argument("--days", type=int, default=365, help="how long it holds")
    officer.add_argument("--out", required=True, help="where the certificate goes")
    officer.set_defaults(run=_officer)


def _add_deletion_answer(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "answer an owner who asked for a downloaded recording to be deleted"
    answer = commands.add_parser("deletion-answer", help=text, description=text)
    answer.add_argument("--key", required=True, help="agency-key.json")
    which = answer.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--draft", metavar="FILE",
        help="deletion-draft.json of the relay's page: which packages, and what is answered",
    )  # fmt: skip
    which.add_argument(
        "--package", action="append", metavar="ID",
        help=f"the package's id; up to {MAX_ANSWERED} times for the same answer about each",
    )  # fmt: skip
    what = answer.add_mutually_exclusive_group()
    what.add_argument("--deleted", action="store_true", help="it was deleted")
    what.add_argument("--kept", action="store_true", help="it is kept; --reason says why")
    answer.add_argument("--reason", help="how it was deleted, or why it is kept")
    answer.add_argument("--out", required=True, help="where the signed answer goes")
    answer.set_defaults(run=_deletion_answer)


if __name__ == "__main__":
    raise SystemExit(main())
