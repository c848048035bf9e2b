"""`doorward-relay`: set up, run and look after a relay.

Only the command line belongs here: reading arguments, calling the part that does it, printing
what came of it. Exit codes: 0 done, 1 it couldn't be done, 2 a bad argument or setting.
"""

import argparse
import asyncio
import json
import logging
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from firmware.protocol.encoding import WireError
from relay.admin_cli import add_admin_commands
from relay.agency.register import RegisterDesk
from relay.backup.cli import add_backup_commands
from relay.bus import Bus
from relay.clock import SystemClock, clock_of
from relay.config import Config, load
from relay.config_values import ORIGIN_EXPECTED, Address, parse_address, parse_origin
from relay.custody.logs import LogEntries
from relay.errors import ConfigError, RelayError, StoreError
from relay.fleet.broker_keys import BrokerKeys
from relay.fleet.ca import Authority
from relay.fleet.claims import new_claim
from relay.fleet.revocation import revoke
from relay.init import InitSettings, init
from relay.log_cli import add_log_commands
from relay.moderate_cli import add_moderate_commands
from relay.people.invitations import invite_admin, invite_officer, invite_owner
from relay.request_ids import configure_logging
from relay.store.database import Database, Transaction, shown
from relay.store.saved_file import SavedFile
from relay.store.schema import SCHEMA_VERSION

DEFAULT_LISTEN = "127.0.0.1:8400"
DEFAULT_APP_LISTEN = "127.0.0.1:8401"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = _parser().parse_args(arguments)
    configure_logging(getattr(options, "log_format", "text"))
    try:
        code: int = options.run(options)
    except ConfigError as error:
        print(f"doorward-relay: bad setting {error}", file=sys.stderr)
        return 2
    except (RelayError, WireError) as error:
        print(f"doorward-relay: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _run_init(options: argparse.Namespace) -> int:
    settings = InitSettings(
        data_dir=options.data,
        listen=_address(options.listen),
        public_url=options.public_url,
        owner_origin=options.owner_origin,
        mqtt_port=options.mqtt_port,
        nats_port=options.nats_port,
        s3_port=options.s3_port,
        demo_passkeys=options.demo,
        turn_host=options.turn_host,
        turn_port=options.turn_port,
        database_url=options.database_url,
    )
    config = asyncio.run(init(settings, SystemClock()))
    written = {
        "config": str(config.data_dir / "relay.toml"),
        "broker_config": str(config.data_dir / "nats.conf"),
        "bucket_identities": str(config.data_dir / "s3.json"),
        "ca": str(config.ca_path),
    }
    if options.turn_host is not None:
        written["turn_config"] = str(config.data_dir / "turnserver.conf")
    if options.json:
        print(json.dumps(written))
        return 0
    print(f"A relay is ready in {config.data_dir}. Start, in this order:")
    print(f"  nats-server -c {written['broker_config']}")
    print(f"  an object store at {config.bucket.endpoint} (identities: s3.json)")
    if "turn_config" in written:
        print(f"  turnserver -c {written['turn_config']}  (on {options.turn_host})")
    print(f"  doorward-relay serve --config {written['config']}")
    print(f"then: doorward-relay check --config {written['config']}")
    print("      doorward-relay invite doorbell | owner")
    print(f"      doorward-relay backup --config {written['config']} --out DIR, each day")
    print("Nobody can ask for footage before there are public logs and two administrators:")
    print(
        f"  doorward-relay log init --name NAME --config {written['config']}, and what it says next"
    )
    return 0


def _run_serve(options: argparse.Namespace) -> int:
    from relay.app import serve  # most commands are short, and shouldn't load a web server

    asyncio.run(serve(load(options.config)))
    return 0


def _run_check(options: argparse.Namespace) -> int:
    from relay.check import check

    logging.getLogger().setLevel(logging.CRITICAL)  # the findings say it in words
    findings = asyncio.run(check(load(options.config)))
    for finding in findings:
        word = "FAIL" if not finding.is_ok else "warn" if finding.is_warning else "ok  "
        print(f"{word}  {finding.what}: {finding.detail}")
    return 0 if all(finding.is_ok for finding in findings) else 1


def _run_migrate(options: argparse.Namespace) -> int:
    config = load(options.config)
    asyncio.run(_migrate(config))
    print(f"{shown(config.database)} has schema version {SCHEMA_VERSION}", file=sys.stderr)
    return 0


async def _migrate(config: Config) -> None:
    if (
        not config.database_url and not config.database_path.exists()
    ):  # opening it would make an empty one
        raise StoreError(f"{config.database_path} is missing; doorward-relay init writes it")
    database = await Database.open(config.database, is_migrating=True)
    await database.close()


def _run_invite(options: argparse.Namespace) -> int:
    config = load(options.config)
    match options.whom:
        case "doorbell":
            return asyncio.run(_invite_doorbell(config, options.out))
        case _:
            return asyncio.run(_invite_person(config, options))


async def _invite_doorbell(config: Config, out: Path | None) -> int:
    authority = Authority.load(config.ca_key_path.read_bytes(), config.ca_path.read_bytes())
    database = await Database.open(config.database)
    try:
        async with database.begin() as tx:
            claim = await new_claim(
                tx,
                relay_url=config.public_url,
                ca_sha256=authority.sha256,
                now_ms=SystemClock().wall_ms(),
            )
    finally:
        await database.close()
    text = claim.encode().decode() + "\n"
    if out is None:
        print(text, end="")
        return 0
    descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    print(f"{out}: put it on the doorbell's card. It works once.", file=sys.stderr)
    return 0


async def _invite_person(config: Config, options: argparse.Namespace) -> int:
    database = await Database.open(config.database)
    now_ms = clock_of(config.town_clock_path, config.example_town).wall_ms()
    try:
        async with database.begin() as tx:
            if options.whom == "owner":
                secret = await invite_owner(tx, now_ms, device=options.device)
                url = f"{config.owner_origin}/#/join?invitation={secret}"
            elif options.whom == "admin":
                secret = await invite_admin(tx, now_ms)
                url = f"{config.public_url}/admin/join?invitation={secret}"
            else:
                await _require_agency(config, database, tx, options.agency)
                secret = await invite_officer(tx, now_ms, agency=options.agency)
                url = f"{config.public_url}/agency/join?invitation={secret}"
    finally:
        await database.close()
    if options.json:
        print(json.dumps({"invitation": secret, "url": url}))
    else:
        print(f"One person, within 7 days: {url}")
    return 0


async def _require_agency(
    config: Config, database: Database, tx: Transaction, agency: str | None
) -> None:
    if config.log is None:
        raise ConfigError("[log]", None, "a log (doorward-relay log init makes one)")
    desk = RegisterDesk(
        LogEntries(),
        database,
        origin=f"{config.log.name}/register",
        saved=SavedFile(config.saved_register_path),
    )
    if agency not in (await desk.replayed(tx)).agreements:
        expected = "an agency that the register knows (doorward-relay admin submit)"
        raise ConfigError("--agency", agency, expected)


def _run_revoke(options: argparse.Namespace) -> int:
    asyncio.run(_revoke(load(options.config), options.device))
    print(f"revoked {options.device}", file=sys.stderr)
    return 0


async def _revoke(config: Config, device: str) -> None:
    keys = BrokerKeys.load(config.broker_keys_path)
    database = await Database.open(config.database)
    bus = Bus(config.broker.url, relay_seed=keys.relay_seed, system_seed=keys.system_seed)
    try:
        await bus.connect()
        await revoke(device, bus=bus, database=database, clock=SystemClock())
    finally:
        await bus.close()
        await database.close()


def _run_app(options: argparse.Namespace) -> int:
    from relay.web.app_server import build_app_server

    listen = _address(options.listen)
    try:
        relay_url = parse_origin(options.relay_url)
    except (ValueError, TypeError) as error:
        raise ConfigError("--relay-url", options.relay_url, ORIGIN_EXPECTED) from error
    try:
        listener = socket.create_server((listen.host, listen.port))
    except OSError as error:
        expected = f"an address that is free ({error.strerror})"
        raise ConfigError("--listen", options.listen, expected) from error
    server = uvicorn.Server(
        uvicorn.Config(
            build_app_server(relay_url),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
        )
    )
    logging.getLogger(__name__).info("owner's app ready on %s", listen)
    asyncio.run(server.serve(sockets=[listener]))
    return 0


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except (ValueError, TypeError) as error:
        raise ConfigError("--listen", text, f"host:port, as {DEFAULT_LISTEN}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="doorward-relay",
        description="Doorward's relay: carries, stores and shows, and is trusted with nothing.",
        epilog="Each command explains itself: doorward-relay init --help",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_init(commands)
    for name, run, text in (
        ("serve", _run_serve, "run the relay until it is stopped"),
        ("check", _run_check, "say in words what is wrong with a relay's settings and servers"),
        ("migrate", _run_migrate, "bring an older Doorward's database forward; serve does it too"),
    ):
        _with_config(commands.add_parser(name, help=text, description=text), run)
    serving = commands.choices["serve"]
    serving.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="json: for programs"
    )
    _add_invite(commands)
    add_log_commands(commands)
    add_admin_commands(commands)
    add_moderate_commands(commands)
    add_backup_commands(commands)
    text = "refuse a doorbell for good and throw it off the broker"
    revoking = commands.add_parser("revoke", help=text, description=text)
    revoking.add_argument("device", help="the doorbell's id")
    _with_config(revoking, _run_revoke)
    text = "serve the owner's app, a static bundle on an origin of its own"
    app = commands.add_parser("app", help=text, description=text)
    app.add_argument("--listen", default=DEFAULT_APP_LISTEN, metavar="HOST:PORT")
    app.add_argument("--relay-url", default="http://localhost:8400", help="where the relay is")
    app.set_defaults(run=_run_app)
    return parser


def _add_init(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "write a new relay's settings, keys and database into an empty folder"
    parser = commands.add_parser(
        "init",
        help=text,
        description=text,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="an empty folder")
    parser.add_argument("--listen", default=DEFAULT_LISTEN, metavar="HOST:PORT", help="own address")
    parser.add_argument("--public-url", default="http://localhost:8400", help="as people see it")
    parser.add_argument(
        "--owner-origin", default="http://localhost:8401", help="origin of the owner's app"
    )
    parser.add_argument("--mqtt-port", type=int, default=8403, help="broker: where doorbells come")
    parser.add_argument("--nats-port", type=int, default=8404, help="broker: where the relay comes")
    parser.add_argument("--s3-port", type=int, default=8405, help="the object store")
    parser.add_argument(
        "--turn-host",
        metavar="HOST",
        help="name or IPv4 address of a coturn, so that live view works away from home as well",
    )
    parser.add_argument("--turn-port", type=int, default=3478, help="coturn: where all come")
    parser.add_argument(
        "--database-url",
        default="",
        metavar="URL",
        help="a PostgreSQL database, postgresql://…; with a password, rather write it into "
        "relay.toml afterwards, or into ~/.pgpass",
    )
    parser.add_argument(
        "--demo", action="store_true", help="allow demo passkeys (keys in the page): demo only"
    )
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")
    parser.set_defaults(run=_run_init)


def _add_invite(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "make a one-time invitation for a doorbell, an owner, an officer or an administrator"
    parser = commands.add_parser("invite", help=text, description=text)
    parser.add_argument("whom", choices=("doorbell", "owner", "officer", "admin"))
    parser.add_argument("--out", type=Path, metavar="FILE", help="doorbell: write claim.json here")
    parser.add_argument("--device", metavar="ID", help="owner: the doorbell of a co-owner")
    parser.add_argument("--agency", metavar="ID", help="officer: the agency (required)")
    parser.add_argument("--json", action="store_true", help='print {"invitation", "url"}')
    _with_config(parser, _run_invite)


def _with_config(parser: argparse.ArgumentParser, run: object) -> None:
    parser.add_argument("--config", type=Path, required=True, metavar="relay.toml")
    parser.set_defaults(run=run)


if __name__ == "__main__":
    sys.exit(main())
