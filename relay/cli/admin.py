"""The commands `doorward-relay admin …`: administrators' changes of the register.

    admin keygen --id ann --name "Ann Berg" --out KEYS      on the administrator's own machine
    admin charter --origin TOWN/register --admin ann.json --admin bob.json --out charter.json
    admin propose agreement enrolment.json --config relay.toml --out change.json
    admin show change.json                                  what it would do, in words
    admin sign change.json --key ann.key.json               by each of two people
    admin submit change.json --config relay.toml            at the relay
    admin restore-text agreement.md --config relay.toml     the same; puts a signed text back

Only `submit` and `restore-text` change the relay's database; `propose` and `show` look into it
where they are given `--config`. `relay.cli.admin_commands` opens it.
"""

import argparse
import asyncio
from pathlib import Path

import msgspec

from firmware.protocol.encoding import sha256_hex
from firmware.protocol.register.change_rules import check_place
from firmware.protocol.register.entries import (
    EXAMPLE_PREFIX,
    Admin,
    AdminsChanged,
    AgencySuspended,
    ChangeBody,
    Charter,
    Delays,
    Limits,
    LimitsChanged,
    OfficerRevoked,
    ProgramReleased,
    Succession,
    Widening,
)
from firmware.protocol.register.succession import succession_to
from relay.agency.changes import (
    AdminKey,
    ProposedChange,
    describe,
    generate_admin,
    propose,
    propose_agreement,
    sign_change,
)
from relay.agency.keys import AgencyEnrolment, write_new_file
from relay.config.loader import load
from relay.config.settings import Config
from relay.errors import ConfigError
from relay.verify.file_reader import read_document, read_register

_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def add_admin_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `admin` to the relay's command line."""
    text = "change the register of agencies, by the signatures of two administrators"
    parser = commands.add_parser("admin", help=text, description=text)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _add_keygen(actions)
    _add_charter(actions)
    _add_propose(actions)
    text = "show a change's effects as text"
    show = actions.add_parser("show", help=text, description=text)
    show.add_argument("change", type=Path, metavar="change.json")
    show.add_argument(
        "--config", type=Path, metavar="relay.toml", help="also show whether it can still be made"
    )
    show.set_defaults(run=_show)
    text = "sign a change with your own key, after reading its effects"
    sign = actions.add_parser("sign", help=text, description=text)
    sign.add_argument("change", type=Path, metavar="change.json")
    sign.add_argument("--key", type=Path, required=True, metavar="ID.key.json")
    sign.set_defaults(run=_sign)
    text = "add a change to the register; refused with a reason if it would have no effect"
    submit = actions.add_parser("submit", help=text, description=text)
    submit.add_argument("change", type=Path, metavar="change.json", help="or a revocation")
    submit.add_argument("--config", type=Path, required=True, metavar="relay.toml")
    submit.set_defaults(run=_submit)
    text = "put an agreement's text back that was altered or lost in the relay's database"
    restore = actions.add_parser("restore-text", help=text, description=text)
    restore.add_argument("text", type=Path, metavar="agreement.md", help="as it was signed")
    restore.add_argument("--config", type=Path, required=True, metavar="relay.toml")
    restore.set_defaults(run=_restore_text)


# --- on an administrator's own machine ---


def _keygen(options: argparse.Namespace) -> int:
    key = generate_admin(options.id, options.name)
    options.out.mkdir(parents=True, exist_ok=True)
    secret, public = options.out / f"{key.id}.key.json", options.out / f"{key.id}.json"
    write_new_file(secret, key.encode(), mode=0o600)
    write_new_file(public, key.public().encode(), mode=0o644)
    print(f"{secret} is secret: it stays on this machine, and nobody else uses it.")
    print(f"{public} is public: it goes into the charter, or into a change of administrators.")
    return 0


def _charter(options: argparse.Namespace) -> int:
    is_example = options.origin.startswith(EXAMPLE_PREFIX)
    given = {name: getattr(options, name) for name in Delays.__struct_fields__}
    delays = Delays(**{name: value for name, value in given.items() if value is not None})
    if delays != Delays() and not is_example:
        expected = f"nothing: only an example town ({EXAMPLE_PREFIX}…) may have shorter delays"
        raise ConfigError("--key-age and the like", options.origin, expected)
    admins = [read_document(Admin, path) for path in options.admin]
    limits = Limits() if options.limits is None else read_document(Limits, options.limits)
    body = Charter(
        is_example=is_example,
        admins=admins,
        delays=delays,
        limits=limits,
        succeeds=_succession(options),
    )
    return _write_proposal(options, propose(options.origin, body))


def _succession(options: argparse.Namespace) -> Succession | msgspec.UnsetType:
    """Return what the new register says of the old one, which is checked first."""
    if options.succeeds is None and not options.old_admin:
        return msgspec.UNSET
    if options.succeeds is None or len(options.old_admin) < 2:
        expected = "register.tlog of the old register, and --old-admin for two who sign for it"
        raise ConfigError("--succeeds", options.succeeds, expected)
    by = [read_document(Admin, path) for path in options.old_admin]
    return succession_to(read_register(options.succeeds), by)


def _propose(options: argparse.Namespace) -> int:
    if options.what == "agreement":
        enrolment = read_document(AgencyEnrolment, _file(options))
        return _write_proposal(options, propose_agreement(enrolment, follows=_place(options)))
    if options.origin is None:
        raise ConfigError("--origin", None, "the register's origin, such as relay.example/register")
    body = _body(options)
    follows = _place(options) if isinstance(body, Widening) else 0
    return _write_proposal(options, propose(options.origin, body, follows=follows))


def _place(options: argparse.Namespace) -> int:
    """Return the number of widening changes in the register: the proposed one is the next."""
    if options.follows is not None:
        return int(options.follows)
    if options.config is None:
        expected = (
            "the relay's, to see which change is the next in the register; elsewhere, give "
            "--follows N: how many changes doorward-monitor counts in it"
        )
        raise ConfigError("--config", None, expected)
    return _widenings(load(options.config))


def _body(options: argparse.Namespace) -> ChangeBody:
    match options.what:
        case "limits":
            return LimitsChanged(limits=read_document(Limits, _file(options)))
        case "admins":
            return AdminsChanged(admins=[read_document(Admin, path) for path in options.files])
        case "suspend":
            return AgencySuspended(agency=_given(options, "agency"))
        case "revoke-officer":
            agency, officer_id = _given(options, "agency"), _given(options, "officer_id")
            return OfficerRevoked(agency=agency, officer_id=officer_id)
        case program:
            return ProgramReleased(
                program="owner-app" if program == "owner-app" else "firmware",
                version=_given(options, "version"),
                sha256=sha256_hex(_file(options).read_bytes()),
            )


def _show(options: argparse.Namespace) -> int:
    proposed = read_document(ProposedChange, options.change)
    print("\n".join(describe(proposed)))
    if options.config is not None:
        check_place(proposed.header, _widenings(load(options.config)))
    return 0


def _sign(options: argparse.Namespace) -> int:
    proposed = read_document(ProposedChange, options.change)
    key = read_document(AdminKey, options.key)
    print("\n".join(describe(proposed)))
    signed = sign_change(proposed, key)
    options.change.write_bytes(signed.encode())
    print(f"{options.change}: signed by {key.id}.")
    return 0


def _write_proposal(options: argparse.Namespace, proposed: ProposedChange) -> int:
    write_new_file(options.out, proposed.encode(), mode=0o644)
    print("\n".join(describe(proposed)))
    print(f"{options.out}: to be signed: doorward-relay admin sign {options.out} --key ID.key.json")
    print(f"and then: doorward-relay admin submit {options.out} --config relay.toml")
    return 0


def _file(options: argparse.Namespace) -> Path:
    if len(options.files) != 1:
        raise ConfigError(options.what, options.files, "one file")
    path: Path = options.files[0]
    return path


def _given(options: argparse.Namespace, name: str) -> str:
    value = getattr(options, name)
    if value is None:
        raise ConfigError(f"--{name.replace('_', '-')}", None, f"{options.what} needs it")
    return str(value)


# --- at the relay ---


def _submit(options: argparse.Namespace) -> int:
    from relay.cli.admin_commands import submit

    charter = asyncio.run(submit(load(options.config), options.change))
    print("added to the register; it counts once witnesses have seen it for long enough")
    if charter is not None:
        print(
            f"So that nobody can put another in its place, the policy has this line now, or needs "
            f"it when it is made:\n{charter}\nStart the relay again, and give the same file to "
            "every doorbell's card and to the agencies."
        )
    return 0


def _restore_text(options: argparse.Namespace) -> int:
    from relay.cli.admin_commands import restore_text

    sha256 = asyncio.run(restore_text(load(options.config), options.text))
    print(f"{options.text} is stored as the text with SHA-256 {sha256}, and shown.")
    return 0


def _widenings(config: Config) -> int:
    from relay.cli.admin_commands import widenings

    return asyncio.run(widenings(config))


# --- the command line ---


def _add_keygen(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "make your own key, on your own machine"
    keygen = actions.add_parser("keygen", help=text, description=text)
    keygen.add_argument("--id", required=True, help="short name, such as ann")
    keygen.add_argument("--name", required=True, help='full name, such as "Ann Berg"')
    keygen.add_argument("--out", type=Path, required=True, metavar="DIR", help="a folder")
    keygen.set_defaults(run=_keygen)


def _add_charter(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "propose a register's first entry: its administrators, limits and delays"
    charter = actions.add_parser("charter", help=text, description=text)
    charter.add_argument("--origin", required=True, help="such as relay.example/register")
    charter.add_argument(
        "--admin",
        type=Path,
        action="append",
        required=True,
        metavar="ID.json",
        help="an administrator's public file; at least two",
    )
    charter.add_argument("--limits", type=Path, metavar="FILE", help="stricter limits, as JSON")
    charter.add_argument(
        "--succeeds",
        type=Path,
        metavar="register.tlog",
        help="where the register begins anew: the old one, as doorward-monitor saved it at its end",
    )
    charter.add_argument(
        "--old-admin",
        type=Path,
        action="append",
        default=[],
        metavar="ID.json",
        help="an administrator of the old register who signs, too; two",
    )
    for name in Delays.__struct_fields__:
        charter.add_argument(
            "--" + name.removesuffix("_ms").replace("_", "-"),
            dest=name,
            type=_span_ms,
            metavar="SPAN",
            help="example towns only: such as 500ms, 3s, 2h",
        )
    charter.add_argument("--out", type=Path, required=True, metavar="charter.json")
    charter.set_defaults(run=_charter)


def _add_propose(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "write a change that two people can sign"
    parser = actions.add_parser("propose", help=text, description=text)
    parser.add_argument(
        "what",
        choices=(
            "agreement", "limits", "admins", "suspend", "revoke-officer", "owner-app", "firmware",
        ),
    )  # fmt: skip
    parser.add_argument(
        "files",
        type=Path,
        nargs="*",
        metavar="FILE",
        help="agreement: enrolment.json; limits: their JSON; admins: all of their ID.json; "
        "owner-app, firmware: the released file",
    )
    parser.add_argument("--origin", help="of the register; an agreement has it in it")
    place = parser.add_mutually_exclusive_group()
    text = "at the relay: look up which change is the next; what narrows needs no place"
    place.add_argument("--config", type=Path, metavar="relay.toml", help=text)
    text = "elsewhere: how many changes the register has, as doorward-monitor counts them"
    place.add_argument("--follows", type=_count, metavar="N", help=text)
    parser.add_argument("--agency", help="suspend, revoke-officer: the agency's id")
    parser.add_argument("--officer-id", help="revoke-officer: as the certificate names them")
    parser.add_argument("--version", help="owner-app, firmware: which version")
    parser.add_argument("--out", type=Path, required=True, metavar="change.json")
    parser.set_defaults(run=_propose)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise argparse.ArgumentTypeError(f"a number such as 3, not {text!r}")
    return int(text)


def _span_ms(text: str) -> int:
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = _UNITS_MS.get(text[len(digits) :])
    if unit is None or not digits.isascii() or not digits.isdigit():
        raise argparse.ArgumentTypeError(f"a span such as 500ms, 3s, 10m, 72h or 7d, not {text!r}")
    return int(digits) * unit
