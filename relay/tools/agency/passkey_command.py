"""The command `doorward-agency passkey`, and the text by which people compare a passkey.

The one command of an agency's that speaks to the relay: it is an officer's, on their own machine.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from firmware.companion.authenticator.passkey import Site
from firmware.companion.authenticator.prompts import fido_person, name_option, origin_option
from firmware.protocol.encoding import WireError
from relay.agency.keys import OfficerFile, fingerprint_of, write_new_file
from relay.verify.report_text import visible


def passkey_lines(officer: OfficerFile) -> list[str]:
    """Return the passkey's description, for the officer and for the person who certifies it."""
    passkey = officer.passkey
    return [
        f"  officer {officer.officer_id}, {visible(officer.name)}",
        f"  passkey {fingerprint_of(passkey.public_key)}",
        f"  for {visible(passkey.origin)} ({visible(passkey.rp_id)}), and nowhere else",
    ]


def add_passkey(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    text = "make an officer's passkey in a FIDO2 key and register it, without the relay's page"
    passkey = commands.add_parser("passkey", help=text, description=text)
    passkey.add_argument(
        "--relay",
        type=origin_option,
        required=True,
        metavar="URL",
        help="its address, known from elsewhere: https://relay.example",
    )
    passkey.add_argument(
        "--invitation",
        required=True,
        metavar="LINK",
        help="the operator's link, or what follows invitation= in it",
    )
    passkey.add_argument(
        "--name", type=name_option, required=True, help="yours, as requests will name you"
    )
    passkey.add_argument(
        "--page-origin",
        type=origin_option,
        metavar="URL",
        help="where officers open its pages, if not at --relay: the passkey signs there alone",
    )
    passkey.add_argument("--out", required=True, help="officer.json, for the agency")
    passkey.set_defaults(run=_passkey)


def _passkey(options: argparse.Namespace) -> int:
    try:
        from relay.tools.agency.officer_passkey import join_with_fido_key
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        raise WireError(f"{missing} is missing: pip install 'doorward[officer]'") from error
    site = Site.of(options.page_origin or options.relay)
    out = Path(options.out)
    with _new_file(out):
        officer = join_with_fido_key(
            options.relay,
            site,
            invitation=options.invitation,
            name=" ".join(options.name.split()),
            person=fido_person(),
        )
        try:
            out.write_bytes(officer.encode())
        except OSError:
            print(f"The passkey is registered and the invitation spent. {out} should have held:")
            print(officer.encode().decode())
            raise
    print(f"{out} is public: give it to whoever has your agency's key, and read to them:")
    print("\n".join(passkey_lines(officer)))
    print(f"Once it is certified, sign in at {site.origin}/agency with this same FIDO2 key.")
    return 0


@contextmanager
def _new_file(path: Path) -> Iterator[None]:
    """Create the output file before the key is used; it is deleted on failure."""
    write_new_file(path, b"", mode=0o644)
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise
