"""`doorward-agency`: what an agency does with its own key, on its own machine.

    doorward-agency keygen --id lakeland --name "Lakeland Police" --cells CELL... --out DIR
    doorward-agency certify --key DIR/agency-key.json --officer officer.json --out cert.json
    doorward-agency open PACKAGE --key DIR/agency-key.json --out DIR

The key never leaves the machine: keygen writes agency.json for the relay's operator, certify
a certificate for an officer, and open opens evidence and checks it.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from firmware.protocol.encoding import WireError
from relay.agency.evidence import OpenedEvidence, open_evidence
from relay.agency.facts import facts_of
from relay.agency.keys import (
    AgencyKey,
    OfficerFile,
    certify,
    generate_agency,
    read_document,
    write_new_file,
)

DAY_MS = 24 * 3600 * 1000
EXIT_REFUSED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except WireError as error:
        print(f"doorward-agency: {error}", file=sys.stderr)
        return EXIT_REFUSED
    except OSError as error:
        print(f"doorward-agency: {error.filename}: {error.strerror}", file=sys.stderr)
        return EXIT_REFUSED
    return code


def _keygen(options: argparse.Namespace) -> int:
    out = Path(options.out)
    agency, key = generate_agency(
        agency_id=options.id,
        name=options.name,
        cells=options.cells,
        agreement_until_ms=_now_ms() + options.agreement_days * DAY_MS,
    )
    out.mkdir(parents=True, exist_ok=True)
    write_new_file(out / "agency-key.json", key.encode(), mode=0o600)
    write_new_file(out / "agency.json", agency.encode(), mode=0o644)
    print(f"{out}/agency-key.json is secret: keep it, and a copy offline.")
    print(f"{out}/agency.json is public: give it to the relay's operator.")
    return 0


def _certify(options: argparse.Namespace) -> int:
    key = read_document(AgencyKey, Path(options.key))
    officer = read_document(OfficerFile, Path(options.officer))
    signed = certify(key, officer, not_after_ms=_now_ms() + options.days * DAY_MS)
    Path(options.out).write_bytes(signed.encode())
    print(f"{options.out}: {officer.name} may sign for {key.agency} for {options.days} days.")
    return 0


def _open(options: argparse.Namespace) -> int:
    key = read_document(AgencyKey, Path(options.key))
    opened = open_evidence(Path(options.package).read_bytes(), key)
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    for name, data in opened.files.items():
        (out / name).write_bytes(data)
    return _report(opened, out)


def _report(opened: OpenedEvidence, out: Path) -> int:
    for check in opened.checks:
        print(f"{'holds' if check.holds else 'FAILS'}  {check.what}{_detail(check.detail)}")
    for recording in opened.recordings:
        print(f"{recording.name}:")
        for fact in facts_of(recording.manifest, has_sound=recording.has_sound):
            print(f"  {fact}")
    print(f"{len(opened.files)} files in {out}")
    return 0 if all(check.holds for check in opened.checks) else 1


def _detail(detail: str) -> str:
    return f": {detail}" if detail else ""


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="doorward-agency", description="What an agency does with its own key."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    keygen = commands.add_parser("keygen", help="make an agency's keys")
    keygen.add_argument("--id", required=True, help="short name, such as lakeland")
    keygen.add_argument("--name", required=True, help='full name, such as "Lakeland Police"')
    keygen.add_argument("--cells", required=True, nargs="+", help="H3 cells of resolution 9")
    keygen.add_argument("--agreement-days", type=int, default=365, help="how long it takes part")
    keygen.add_argument("--out", required=True, help="folder for both files")
    keygen.set_defaults(run=_keygen)
    certify_ = commands.add_parser("certify", help="certify an officer's passkey")
    certify_.add_argument("--key", required=True, help="agency-key.json")
    certify_.add_argument("--officer", required=True, help="officer.json, from the officer")
    certify_.add_argument("--days", type=int, default=365, help="how long it holds")
    certify_.add_argument("--out", required=True, help="where the certificate goes")
    certify_.set_defaults(run=_certify)
    open_ = commands.add_parser("open", help="open an evidence package and check it")
    open_.add_argument("package", help="the sealed file")
    open_.add_argument("--key", required=True, help="agency-key.json")
    open_.add_argument("--out", required=True, help="folder for what is inside")
    open_.set_defaults(run=_open)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
