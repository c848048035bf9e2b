"""The command line of `doorward-verify`: checks evidence or an owner's export, or trims evidence.

Offline, for anyone who is handed it.

    doorward-verify PACKAGE --key agency-key.json
    doorward-verify FOLDER [--agreement agreement.json] [--policy policy.txt]
    doorward-verify trim FOLDER/clip-1.mp4 --from 3 --to 9 --out TRIMMED
    doorward-verify recording FOLDER
    doorward-verify export FOLDER
    doorward-verify --page verify.html

Each option is carried out, or the command ends with 2 before it checks anything: `--page` stands
alone, and no option may be given twice. It reads files and writes only what it is told to. It
opens no connection.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from firmware.protocol.command_line import ZERO, quiet_pipe
from firmware.protocol.encoding import WireError
from relay.verify.agency_key import AgencyKey, KnownAgency, OpeningKey
from relay.verify.checks import Exit
from relay.verify.document_reader import CLIP_NAME
from relay.verify.errors import AlteredPackage, UnreadablePackage
from relay.verify.exported import check_export
from relay.verify.file_reader import (
    read_agreement,
    read_evidence,
    read_folder,
    read_key,
    read_policy,
    read_small,
    register_of,
)
from relay.verify.home_copy import (
    LoneRecordingFails,
    check_lone_recording,
    recording_lines,
)
from relay.verify.private_files import write_private_file, write_private_folder
from relay.verify.readings import read_clips
from relay.verify.report import Report, TrustAnchors, check_evidence
from relay.verify.report_text import json_of, lines_of
from relay.verify.saved_page import write_saved_page
from relay.verify.trim import trim

NAME = "doorward-verify"


@quiet_pipe
def main(arguments: Sequence[str] | None = None) -> int:
    """Check evidence, or trim it; return the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["export"]:
        return _check_export(_export_parser().parse_args(words[1:]))
    is_trim = words[:1] == ["trim"]
    if words[:1] == ["recording"]:
        return _check_recording(_recording_parser().parse_args(words[1:]))
    options = _trim_parser().parse_args(words[1:]) if is_trim else _parse(words)
    try:
        if not is_trim and options.page is not None:
            return _save_page(options.page)
        return _trim(options) if is_trim else _verify(options)
    except UnreadablePackage as error:
        return _refuse(error, Exit.UNREADABLE)
    except AlteredPackage as error:
        return _refuse(error, Exit.PACKAGE)
    except WireError as error:
        return _refuse(error, Exit.USAGE)
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}", Exit.USAGE)


def _check_export(options: argparse.Namespace) -> int:
    try:
        report = check_export(Path(options.folder), device=options.device)
    except WireError as error:
        return _refuse(error, Exit.DEVICE)
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}", Exit.USAGE)
    print("\n".join(report.lines()))
    return report.exit_code.value


def _refuse(why: object, code: Exit) -> int:
    print(f"{NAME}: {why}", file=sys.stderr)
    return code.value


def _verify(options: argparse.Namespace) -> int:
    court_pack = None if options.court_pack is None else _court_pack()
    key = None if options.key is None else read_key(Path(options.key))
    given = TrustAnchors(
        agency=_agency(key, options.agreement),
        policy=None if options.policy is None else read_policy(Path(options.policy)),
        fleet_ca=None if options.fleet_ca is None else read_small(Path(options.fleet_ca)),
        register=register_of(Path(options.evidence), options.register),
    )
    evidence = read_evidence(Path(options.evidence), key)
    report = check_evidence(evidence, given)
    report = replace(report, readings=read_clips(evidence.files, given.fleet_ca))
    print(json_of(report) if options.json else "\n".join(lines_of(report)))
    if court_pack is not None:
        write_private_file(Path(options.court_pack), court_pack(report))
    return report.exit_code.value


def _check_recording(options: argparse.Namespace) -> int:
    try:
        manifest = check_lone_recording(Path(options.folder), options.device)
    except LoneRecordingFails as error:
        return _refuse(error, error.code)
    except WireError as error:
        return _refuse(error, Exit.USAGE)
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}", Exit.USAGE)
    print("\n".join(recording_lines(manifest)))
    return Exit.HOLDS.value


def _agency(key: AgencyKey | OpeningKey | None, agreement: str | None) -> KnownAgency | None:
    """Return the agency of the key, of the agreement, or of both: then they must name the same."""
    own = None if key is None else KnownAgency.of_key(key)
    if agreement is None:
        return own
    agreed = read_agreement(Path(agreement))
    if own is not None and own != agreed:
        raise WireError("--key and --agreement are of different agencies, or of different keys")
    return agreed


def _court_pack() -> Callable[[Report], bytes]:
    try:
        from relay.verify.court_pack import court_pack
    except ModuleNotFoundError as error:
        raise WireError("the court pack needs ReportLab: pip install 'doorward[court]'") from error
    return court_pack


def _save_page(out: str) -> int:
    digest = write_saved_page(Path(out))
    print(f"{out}: open it in a browser; it needs no network, and sends nothing.")
    print(f"SHA-256 {digest}")
    return Exit.HOLDS.value


def _trim(options: argparse.Namespace) -> int:
    clip = Path(options.clip)
    named = CLIP_NAME.fullmatch(clip.name)
    if named is None:
        raise WireError(f"{clip.name}: name a recording of opened evidence, such as clip-1.mp4")
    out = Path(options.out)
    evidence = read_folder(clip.parent)
    trimmed = trim(evidence.files, int(named[1]), from_s=options.begin, to_s=options.end)
    write_private_folder(out, trimmed.files)
    print(
        f"{out / clip.name} holds {trimmed.begin_s:.1f} s to {trimmed.end_s:.1f} s of it: the "
        f"whole parts that lie inside. Check the folder with: {NAME} {out}"
    )
    return Exit.HOLDS.value


def _parse(words: list[str]) -> argparse.Namespace:
    parser = _parser()
    options = parser.parse_args(words)
    if options.page is None and options.evidence is None:
        parser.error("name the evidence: a sealed package, or a folder of opened files")
    others = {**vars(options), "page": None}.values()
    if options.page is not None and any(value not in (None, False) for value in others):
        parser.error("--page only saves the page and checks nothing: give it alone")
    return options


def _parser() -> argparse.ArgumentParser:
    codes = "\n".join(f"  {code.value:2}  {code.words}" for code in Exit)
    parser = argparse.ArgumentParser(
        prog=NAME,
        description="Check evidence offline: a sealed package, or a folder of opened files.",
        epilog=f"exit codes (10 and more: what fails):\n{codes}\n{ZERO}\n\n"
        f"`{NAME} trim --help` tells how to cut a part out that still verifies,\n"
        f"`{NAME} recording --help` how to check a recording from a copy at home.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("evidence", nargs="?",
                        help="the sealed package, or the folder of its opened files")  # fmt: skip
    for option, metavar, text in (
        ("--key", "FILE", "agency-key.json: opens a sealed package, and tells the agency"),
        ("--agreement", "FILE", "the agency's agreement, if its key isn't at hand"),
        ("--policy", "FILE", "the policy of trusted logs and witnesses (tlog-policy)"),
        (
            "--register",
            "FILE",
            "the whole register (register.tlog), if it doesn't lie beside the evidence",
        ),
        ("--fleet-ca", "FILE", "ca.pem of the fleet that the doorbell belongs to"),
        ("--court-pack", "OUT.pdf", "also write the report as a PDF"),
        ("--page", "OUT.html", "only save the page that does the same in a browser; stands alone"),
    ):
        parser.add_argument(option, metavar=metavar, action=_Once, help=text)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


class _Once(argparse.Action):
    """An option that is refused when it is given twice, where argparse would take the last."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        """Keep the value, or end with 2."""
        if getattr(namespace, self.dest) is not None:
            parser.error(f"{option_string} is given twice")
        setattr(namespace, self.dest, values)


def _export_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{NAME} export",
        description="Check what an owner exported from a doorbell: its index and each recording.",
        epilog=f"Exit codes: 2 wrong use, 3 recordings missing, 10 and more: what fails. {ZERO}",
        allow_abbrev=False,
    )
    parser.add_argument("folder", help="where the export was written, or its ZIP files unpacked")
    parser.add_argument("--device", action=_Once, metavar="ID",
                        help="the id of the doorbell that it has to be from")  # fmt: skip
    return parser


def _trim_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{NAME} trim",
        description="Cut a part out of opened evidence; it still verifies.",
        epilog=f"Exit codes: 2 wrong use, 10 and more: what fails in the evidence. {ZERO}",
        allow_abbrev=False,
    )
    parser.add_argument("clip", help="such as FOLDER/clip-1.mp4; its papers lie beside it")
    parser.add_argument("--from", dest="begin", type=float, required=True, metavar="S",
                        action=_Once, help="from this second of the clip on")  # fmt: skip
    parser.add_argument("--to", dest="end", type=float, required=True, metavar="S",
                        action=_Once, help="up to this second")  # fmt: skip
    parser.add_argument("--out", required=True, action=_Once,
                        help="a new folder for the trimmed evidence")  # fmt: skip
    return parser


def _recording_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{NAME} recording",
        description="Check one recording that `doorward-view open` took from a copy at home: that "
        "a doorbell signed exactly this. No grant or log is about it.",
        epilog=f"Exit codes: 2 a file can't be read, 12 the doorbell's signature, 15 the pictures "
        f"or the sound. {ZERO}",
        allow_abbrev=False,
    )
    parser.add_argument("folder", help="the folder that `doorward-view open` made")
    parser.add_argument("--device", metavar="ID", action=_Once,
                        help="the doorbell that must have recorded it")  # fmt: skip
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
