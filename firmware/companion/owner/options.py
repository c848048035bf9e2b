"""The options of `doorward`'s owner commands, and the function that runs each.

A command's module is imported when it was chosen, so that help and wrong use load no HTTP client.
"""

import argparse
from pathlib import Path

from firmware.companion.authenticator.prompts import name_option, origin_option
from firmware.companion.owner.prompts import add_folder, add_key_file

APP_PORT = 8420
_PAIR = """
Become a doorbell's first owner from a terminal, with no page in between. Have ready: an invitation
from the relay's operator; a FIDO2 key with a PIN, or a file for the passkey (--key-file); and the
doorbell, whose service button is inside its case.

What happens: the passkey is made and registered at the relay, and a code is drawn. Hold the service
button for three seconds, then the code before the doorbell's camera. The doorbell's own page shows
four words, and it says them if it has a loudspeaker. Choose each among four here: after a wrong one
both sides stop. Then press the service button once, shortly, and set the door number on that page.

Afterwards `doorward owners` and `doorward-view` work on this machine. If something breaks off, run
the same command again: it goes on with the passkey that it made, and draws a new code.
"""
_KEY_FILE = (
    "keep the passkey in this file instead of a FIDO2 key. Under a passphrase it is as safe as "
    "that; without one, whoever can read the file is you"
)
_ANSWER = """
Answer a request of the police from here. What they ask, your recordings, and whose keys could open
them come straight from your doorbell: the relay carries all of it and can read or change nothing.

Without --decline, --hold or --never-again you give recordings: you choose among those that your
doorbell has of the asked time, watch exactly what would leave, and your passkey signs for that.
Then the doorbell asks once more, at its own page or by `doorward approve`, and nothing leaves
before that. To do nothing is an answer, too, and nobody can see it.
"""


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the owner's commands; each has a `run` that takes the options."""
    _add_pairing(commands)
    _add_signing(commands)
    _add_requests(commands)
    _add_recovery(commands)
    approve = _add_approve(commands)
    owners = commands.add_parser(
        "owners", help="show who owns the doorbell, and your browsers and keys there"
    )
    owners.set_defaults(run=_owners)
    _add_app(commands)
    for command in (approve, owners):
        add_folder(command, "the folder of `doorward-view`, which is set up first")


def _add_pairing(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    pairing = commands.add_parser(
        "pair",
        help="become a doorbell's first owner from here, without a browser",
        description=_PAIR,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    pairing.add_argument(
        "--relay", type=origin_option, required=True, metavar="URL", help="https://relay.example"
    )
    pairing.add_argument(
        "--name", type=name_option, required=True, help="yours, as other owners see it"
    )
    pairing.add_argument(
        "--invitation", metavar="LINK", help="the operator's link, or what follows invitation= in "
        "it (else you are asked)",
    )  # fmt: skip
    pairing.add_argument(
        "--owner-origin", type=origin_option, metavar="URL", help="the address of the owner's app, "
        "for which alone the passkey will sign (else the relay's word is shown, and you are asked)",
    )  # fmt: skip
    pairing.add_argument(
        "--door", metavar="URL", help="the doorbell's own page, such as http://192.168.1.40:8402: "
        "then its keys are compared from here as well",
    )  # fmt: skip
    pairing.add_argument(
        "--policy", type=Path, metavar="FILE", help="the policy of public logs that came with the "
        "card: the doorbell must follow this very file, or nothing is paired",
    )  # fmt: skip
    add_key_file(pairing, _KEY_FILE)
    pairing.add_argument(
        "--qr", type=Path, metavar="FILE", help="write the code as a picture (.png or .svg) "
        "instead of drawing it here",
    )  # fmt: skip
    pairing.add_argument(
        "--replace", action="store_true", help="set the folder up for this doorbell, in place of "
        "the one that it knows",
    )  # fmt: skip
    add_folder(pairing, "the folder of `doorward-view`, which this sets up")
    pairing.set_defaults(run=_pair)


def _add_signing(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    renewing = commands.add_parser(
        "renew",
        help="let this machine watch for another 30 days, where it was paired from",
        description="Signs with your passkey that this machine's keys count for 30 more days.",
    )
    renewing.set_defaults(run=_renew)
    letting = commands.add_parser(
        "let-in",
        help="let somebody be an owner too, where you paired from",
        description="Shows who has asked to be an owner, and signs for them with your passkey. The "
        "doorbell's own page asks once more, with four words that they find in their own app.",
    )
    letting.set_defaults(run=_let_in)
    adding = commands.add_parser(
        "add-key",
        help="let a key of `doorward approve` count, where you paired from",
        description="Signs with your passkey that a key may confirm your statements from anywhere. "
        "The doorbell's own page asks once more, and shows the key's six words.",
    )
    adding.add_argument("code", help="as `doorward approve` printed it: DWA1:…")
    adding.set_defaults(run=_add_key)
    joining = commands.add_parser(
        "wifi",
        help="make a code that has the doorbell join another Wi-Fi network, where you paired from",
        description="Asks for the network's password, seals it to the doorbell, signs it with your "
        "passkey and draws a code for its camera. Nothing of it goes over any network.",
    )
    joining.add_argument("network", help="its name")
    joining.add_argument(
        "--country", required=True, metavar="XX", help="where the doorbell hangs, such as SE or US"
    )
    joining.add_argument("--wpa3", action="store_true", help="the network takes WPA3 only")
    joining.add_argument("--hidden", action="store_true", help="the network hides its name")
    joining.add_argument(
        "--qr", type=Path, metavar="FILE", help="write the code as a picture (.png or .svg) "
        "instead of drawing it here",
    )  # fmt: skip
    joining.set_defaults(run=_wifi)
    for command in (renewing, letting, adding, joining):
        add_key_file(command)
        add_folder(command)


def _add_requests(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    requests = commands.add_parser(
        "requests",
        help="show what the police ask of your door, as your doorbell itself read it",
        description="Shows the requests in the public register that concern this door, as the "
        "doorbell itself read and checked them.",
    )
    requests.set_defaults(run=_requests)
    answer = _add_answer(commands)
    taking = commands.add_parser(
        "take-back",
        help="take back what you gave, where you paired from",
        description="Signs with your passkey that a grant is taken back: it counts at once.",
    )
    taking.add_argument("grant", help="how it begins, as `doorward requests` shows it")
    taking.set_defaults(run=_take_back)
    for command in (answer, taking):
        add_key_file(command)
    for command in (requests, answer, taking):
        add_folder(command)


def _add_answer(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> argparse.ArgumentParser:
    answer = commands.add_parser(
        "answer",
        help="give recordings for a request of the police, or say no, where you paired from",
        description=_ANSWER,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    answer.add_argument("request", help="how it begins, as `doorward requests` shows it")
    ways = answer.add_mutually_exclusive_group()
    for option, way, says in (
        ("--decline", "decline", "say no to it"),
        ("--hold", "hold", "keep its time for 14 days, and decide later"),
        ("--never-again", "refuse", "hear of none of that agency's requests any more"),
    ):
        ways.add_argument(option, dest="way", action="store_const", const=way, help=says)
    answer.add_argument(
        "--clip", action="append", default=[], metavar="ID", help="give this recording, by its id "
        "or how that begins (again for each; else you are asked)",
    )  # fmt: skip
    answer.add_argument(
        "--from", dest="begin", default="", metavar="TIME", help="give nothing from before this, "
        "such as 14:02:10",
    )  # fmt: skip
    answer.add_argument(
        "--to", dest="end", default="", metavar="TIME", help="give nothing from after this"
    )
    answer.add_argument("--audio", action="store_true", help="give their sound as well")
    answer.add_argument(
        "--tell", type=_fields, default=frozenset(), metavar="LIST", help="give of yourself what "
        "is named: name,address,contact (you are asked for each; else nothing)",
    )  # fmt: skip
    answer.add_argument(
        "--save", type=Path, metavar="DIR", help="keep the clips there (else they are deleted)"
    )
    answer.set_defaults(run=_answer, way="give")
    return answer


def _fields(text: str) -> frozenset[str]:
    from firmware.companion.owner.request_answer import FIELD_CHARS

    fields = frozenset(text.split(","))
    if not fields <= FIELD_CHARS.keys():
        raise argparse.ArgumentTypeError(f"of {', '.join(FIELD_CHARS)}, with commas between")
    return fields


def _add_recovery(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    recovery = commands.add_parser(
        "recovery",
        help="make a key for when the doorbell has died, or all passkeys are lost",
    )
    recovery.add_argument(
        "--check", action="store_true", help="type the words of a key that you have, to test them"
    )
    recovery.add_argument(
        "--pair", action="store_true", help="let a new app in with the words, at home"
    )
    recovery.add_argument(
        "--door", default="http://doorbell.local:8080", metavar="URL", help="its own page"
    )
    recovery.set_defaults(run=_recovery)


def _add_approve(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> argparse.ArgumentParser:
    approve = commands.add_parser(
        "approve", help="say yes or no, from anywhere, to what waits at your doorbell"
    )
    approve.add_argument(
        "digest", nargs="?", default="", help="of the statement (its beginning); all that waits"
    )
    approve.add_argument(
        "--enrol", action="store_true", help="let the FIDO2 key that is plugged in be such a key"
    )
    approve.add_argument("--new-key", type=Path, metavar="FILE", help="make such a key in a file")
    approve.add_argument("--key-file", type=Path, metavar="FILE", help="sign with a key in a file")
    approve.add_argument("--name", type=name_option, help="what the new key is called")
    approve.add_argument(
        "--save", type=Path, metavar="DIR", help="keep the clips there (else they are deleted)"
    )
    approve.set_defaults(run=_approve)
    return approve


def _add_app(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    app = commands.add_parser(
        "app", help="serve the owner's app from this machine, and say which one it is"
    )
    app.add_argument(
        "--relay", type=origin_option, metavar="URL", help="such as https://relay.example"
    )
    app.add_argument("--port", type=int, default=APP_PORT, metavar="N", help="(%(default)s)")
    app.add_argument("--bundle", type=Path, metavar="DIR", help="another copy of the app")
    app.add_argument(
        "--list", action="store_true", help="print each file's SHA-256, as sha256sum does, and end"
    )
    app.add_argument(
        "--policy",
        type=Path,
        metavar="FILE",
        help="the log's policy: serve only what that public register knows (with --log)",
    )
    app.add_argument("--log", metavar="URL", help="where the register is, such as https://…/log")
    app.add_argument("--old", action="store_true", help="with --policy: though a newer is known")
    app.set_defaults(run=_app)


def _pair(options: argparse.Namespace) -> int:
    from firmware.companion.owner.pairing_commands import run_pair

    return run_pair(options)


def _renew(options: argparse.Namespace) -> int:
    from firmware.companion.owner.statement_commands import run_renew

    return run_renew(options)


def _let_in(options: argparse.Namespace) -> int:
    from firmware.companion.owner.statement_commands import run_let_in

    return run_let_in(options)


def _add_key(options: argparse.Namespace) -> int:
    from firmware.companion.owner.statement_commands import run_add_key

    return run_add_key(options)


def _wifi(options: argparse.Namespace) -> int:
    from firmware.companion.owner.wifi_command import run_wifi

    return run_wifi(options)


def _requests(options: argparse.Namespace) -> int:
    from firmware.companion.owner.request_commands import run_requests

    return run_requests(options)


def _answer(options: argparse.Namespace) -> int:
    from firmware.companion.owner.request_commands import run_answer

    return run_answer(options)


def _take_back(options: argparse.Namespace) -> int:
    from firmware.companion.owner.request_commands import run_take_back

    return run_take_back(options)


def _recovery(options: argparse.Namespace) -> int:
    from firmware.companion.owner.commands import run_recovery

    return run_recovery(options)


def _approve(options: argparse.Namespace) -> int:
    from firmware.companion.owner.commands import run_approve

    return run_approve(options)


def _owners(options: argparse.Namespace) -> int:
    from firmware.companion.owner.commands import run_owners

    return run_owners(options)


def _app(options: argparse.Namespace) -> int:
    from firmware.companion.owner.commands import run_app

    return run_app(options)
