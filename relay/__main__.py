"""The command `doorward-relay`: sets up, runs and maintains a relay.

Only the command line belongs here: reading arguments, calling the part that does it, printing
what came of it. Each command imports what it needs once it was chosen: a help text or a bad
argument loads neither the database nor a client of broker, bucket or web. Exit codes: 0 done,
1 it couldn't be done, 2 a bad argument or setting, or logs that mustn't go on: what trying again
doesn't mend.
"""

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from firmware.protocol.command_line import quiet_pipe
from firmware.protocol.encoding import WireError
from relay.base.log_lines import configure_logging
from relay.cli.admin import add_admin_commands
from relay.cli.backup import add_backup_commands
from relay.cli.brokers import add_brokers_command
from relay.cli.credit import add_credit_commands
from relay.cli.heatmap import add_heatmap_commands
from relay.cli.invite import add_invite_command
from relay.cli.log import add_log_commands
from relay.cli.moderate import add_moderate_commands
from relay.cli.shard import add_shard_commands
from relay.config.loader import for_process, load
from relay.config.settings import Config
from relay.config.values import (
    ORIGIN_EXPECTED,
    ROLES_EXPECTED,
    Address,
    parse_address,
    parse_origin,
)
from relay.custody.errors import LogContradicts
from relay.errors import ConfigError, RelayError, StoreError

if TYPE_CHECKING:
    from relay.cli.init import InitSettings

DEFAULT_LISTEN = "127.0.0.1:8400"
DEFAULT_APP_LISTEN = "127.0.0.1:8401"


@quiet_pipe
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = _parser().parse_args(arguments)
    configure_logging(getattr(options, "log_format", "text"))
    try:
        code: int = options.run(options)
    except ConfigError as error:
        print(f"doorward-relay: bad setting {error}", file=sys.stderr)
        return 2
    except LogContradicts as error:
        print(f"doorward-relay: {error}", file=sys.stderr)
        return 2
    except (RelayError, WireError) as error:
        print(f"doorward-relay: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        print(f"doorward-relay: {where}{error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _run_init(options: argparse.Namespace) -> int:
    from relay.base.clock import SystemClock
    from relay.cli.init import InitSettings, init

    settings = InitSettings(
        data_dir=options.data,
        listen=_address(options.listen),
        public_url=options.public_url,
        owner_origin=options.owner_origin,
        mqtt_port=options.mqtt_port,
        nats_port=options.nats_port,
        s3_port=options.s3_port,
        mqtt_listen=options.mqtt_listen,
        store_url=options.store_url,
        demo_passkeys=options.demo,
        turn_host=options.turn_host,
        turn_port=options.turn_port,
        database_url=options.database_url,
        cluster=options.cluster,
        broker_hosts=tuple(options.broker_host),
        mqtt_host=options.mqtt_host,
        route_port=options.route_port,
    )
    config = asyncio.run(init(settings, SystemClock()))
    written = {
        "config": str(config.data_dir / "relay.toml"),
        **_broker_configs(settings, config),
        "bucket_identities": str(config.data_dir / "s3.json"),
        "bucket_security": str(config.data_dir / "security.toml"),
        "ca": str(config.ca_path),
    }
    if options.turn_host is not None:
        written["turn_config"] = str(config.data_dir / "turnserver.conf")
    if options.json:
        print(json.dumps(written))
        return 0
    print(f"A relay is ready in {config.data_dir}. Start, in this order:")
    for peer in settings.peers:
        place = f"on {peer.host}, as a copy of" if settings.broker_hosts else "in"
        print(f"  nats-server -c nats.conf  ({place} {config.data_dir / peer.folder_name})")
    if not settings.peers:
        print(f"  nats-server -c {written['broker_config']}")
    print(f"  an object store at {config.bucket.endpoint} (identities: s3.json, its own keys:")
    print("    security.toml, which docs/examples/doorward-seaweedfs.service starts it with)")
    if not settings.is_for_this_machine:
        _say_how_it_is_reached(settings)
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


def _broker_configs(settings: "InitSettings", config: Config) -> dict[str, str]:
    if not settings.peers:
        return {"broker_config": str(config.data_dir / "nats.conf")}
    return {
        f"broker_config_{peer.number}": str(config.data_dir / peer.folder_name / "nats.conf")
        for peer in settings.peers
    }


def _say_how_it_is_reached(settings: "InitSettings") -> None:
    if settings.store_url is None:
        print("    put TLS before it, and set endpoint in [bucket] of relay.toml to that address")
        print("    (or begin anew with --store-url)")
    where = f"{settings.broker_listens_on}:{settings.mqtt_port}"
    print(f"  the broker awaits doorbells at {where} (by TLS, with certificates): open that port")


def _run_serve(options: argparse.Namespace) -> int:
    from relay.app.relay import serve

    config = for_process(
        load(options.config),
        roles=options.role,
        listen=_given_address("--listen", options.listen),
        metrics_listen=_given_address("--metrics-listen", options.metrics_listen),
    )
    asyncio.run(serve(config))
    return 0


def _run_check(options: argparse.Namespace) -> int:
    from relay.cli.check import check

    logging.getLogger().setLevel(logging.CRITICAL)  # the findings say it in words
    findings = asyncio.run(check(load(options.config)))
    for finding in findings:
        word = "FAIL" if not finding.is_ok else "warn" if finding.is_warning else "ok  "
        print(f"{word}  {finding.what}: {finding.detail}")
    return 0 if all(finding.is_ok for finding in findings) else 1


def _run_migrate(options: argparse.Namespace) -> int:
    from relay.store.database import shown
    from relay.store.schema import SCHEMA_VERSION

    config = load(options.config)
    if not config.database_url and not config.database_path.exists():
        # opening it would make an empty one
        raise StoreError(f"{config.database_path} is missing; doorward-relay init writes it")
    if options.plan:
        return asyncio.run(_plan(config))
    asyncio.run(_migrate(config))
    print(f"{shown(config.database)} has schema version {SCHEMA_VERSION}", file=sys.stderr)
    return 0


async def _plan(config: Config) -> int:
    from relay.store.database import Database, shown

    plan = await Database.plan(config.database)
    print(f"{shown(config.database)} has schema version {plan.found}, this Doorward {plan.wanted}")
    if plan.offline:
        first, last = plan.offline[0], plan.offline[-1]
        print(f"to {first if first == last else f'{first}-{last}'}: stop all older relays first")
    for version in plan.online:
        print(f"to {version}: older relays go on beside it")
    for user in plan.older_relays:
        print(f"an older relay is connected: {user}")
    return 1 if plan.older_relays else 0


async def _migrate(config: Config) -> None:
    from relay.store.database import Database

    database = await Database.open(config.database, is_migrating=True)
    await database.close()


def _run_revoke(options: argparse.Namespace) -> int:
    logging.getLogger("relay.bus").setLevel(logging.CRITICAL)  # what it comes to is said in words
    asyncio.run(_revoke(load(options.config), options.device))
    print(f"revoked {options.device}", file=sys.stderr)
    return 0


async def _revoke(config: Config, device: str) -> None:
    from relay.base.clock import SystemClock
    from relay.fleet.broker import bus_of
    from relay.fleet.revocation import revoke_beside
    from relay.store.database import Database

    database = await Database.open(config.database)
    bus = bus_of(config)
    try:
        await revoke_beside(device, bus=bus, database=database, clock=SystemClock())
    finally:
        await bus.close()
        await database.close()


def _run_app(options: argparse.Namespace) -> int:
    from relay.base.http_server import QuietServer, listen_on, server_settings
    from relay.base.networks import NETWORK_EXPECTED, parse_network
    from relay.config.settings import LimitsConfig
    from relay.web.app_server import build_app_server

    listen = _address(options.listen)
    relay_url = _origin("--relay-url", options.relay_url)
    others = [_origin("--other-relay-url", one) for one in options.other_relay_url]
    try:
        trusted = tuple(parse_network(one) for one in options.trusted_proxy)
    except ValueError as error:
        shown = " ".join(options.trusted_proxy)
        raise ConfigError("--trusted-proxy", shown, NETWORK_EXPECTED) from error
    try:
        listener = listen_on(listen.host, listen.port)
    except OSError as error:
        expected = f"an address that is free ({error.strerror})"
        raise ConfigError("--listen", options.listen, expected) from error
    app = build_app_server(
        relay_url, other_relay_urls=others, limits=LimitsConfig(trusted_proxies=trusted)
    )
    server = QuietServer(server_settings(app))
    logging.getLogger(__name__).info("owner's app ready on %s", listen)
    asyncio.run(server.serve(sockets=[listener]))
    return 0


def _given_address(option: str, text: str | None) -> Address | None:
    return None if text is None else _address(text, option)


def _origin(option: str, text: str) -> str:
    try:
        return parse_origin(text)
    except (ValueError, TypeError) as error:
        raise ConfigError(option, text, ORIGIN_EXPECTED) from error


def _address(text: str, option: str = "--listen") -> Address:
    try:
        return parse_address(text)
    except (ValueError, TypeError) as error:
        raise ConfigError(option, text, f"host:port, as {DEFAULT_LISTEN}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="doorward-relay",
        description="Doorward's relay: carries messages, stores sealed packages, serves pages.",
        epilog="Each command explains itself: doorward-relay init --help",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_init(commands)
    for name, run, text in (
        ("serve", _run_serve, "run the relay until it is stopped"),
        ("check", _run_check, "check a relay's settings and servers, and print every problem"),
        ("migrate", _run_migrate, "migrate an older Doorward's database; serve does it too"),
    ):
        _with_config(commands.add_parser(name, help=text, description=text), run)
    commands.choices["migrate"].add_argument(
        "--plan",
        action="store_true",
        help="print what would be done and change nothing; exit code 1: older relays are connected",
    )
    serving = commands.choices["serve"]
    serving.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="json: for programs"
    )
    serving.add_argument(
        "--role",
        metavar="ROLES",
        help=f"in place of roles in relay.toml: {ROLES_EXPECTED}, with commas; all by default",
    )
    serving.add_argument(
        "--listen",
        metavar="HOST:PORT",
        help="in place of listen in relay.toml, for a second process on one machine",
    )
    serving.add_argument(
        "--metrics-listen",
        metavar="HOST:PORT",
        help="likewise in place of [metrics] listen",
    )
    add_invite_command(commands)
    add_log_commands(commands)
    add_admin_commands(commands)
    add_moderate_commands(commands)
    add_credit_commands(commands)
    add_backup_commands(commands)
    add_brokers_command(commands)
    add_heatmap_commands(commands)
    add_shard_commands(commands)
    text = "revoke a doorbell for good and disconnect it from the broker"
    revoking = commands.add_parser("revoke", help=text, description=text)
    revoking.add_argument("device", help="the doorbell's id")
    _with_config(revoking, _run_revoke)
    text = "serve the owner's app, a static bundle on an origin of its own"
    app = commands.add_parser("app", help=text, description=text)
    app.add_argument("--listen", default=DEFAULT_APP_LISTEN, metavar="HOST:PORT")
    app.add_argument("--relay-url", default="http://localhost:8400", help="the relay's URL")
    app.add_argument(
        "--other-relay-url",
        action="append",
        default=[],
        metavar="URL",
        help="another shard's relay, at which owners may have a home too; may be given again",
    )
    app.add_argument(
        "--trusted-proxy",
        action="append",
        default=[],
        metavar="NETWORK",
        help="a proxy of your own, such as 127.0.0.1/32, whose X-Forwarded-For is believed; none "
        "by itself; may be given again",
    )
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
    parser.add_argument(
        "--mqtt-port", type=int, default=8403, help="the broker's port for doorbells"
    )
    parser.add_argument(
        "--nats-port", type=int, default=8404, help="the broker's port for the relay"
    )
    parser.add_argument(
        "--cluster",
        type=int,
        default=1,
        metavar="N",
        help="how many brokers: 3, of which one may be lost, 5, of which two may, or 1",
    )
    parser.add_argument(
        "--broker-host",
        action="append",
        default=[],
        metavar="HOST",
        help="the machine of one of a cluster's brokers, given for each; without, all are on this "
        "machine, each ten ports after the one before: for a trial",
    )
    parser.add_argument(
        "--mqtt-host",
        metavar="HOST",
        help="the name by which doorbells find the broker, or all of a cluster's; if not given, "
        "the public URL's",
    )
    parser.add_argument(
        "--route-port", type=int, default=8406, help="a cluster's brokers, for each other"
    )
    parser.add_argument("--s3-port", type=int, default=8405, help="the object store")
    parser.add_argument(
        "--store-url",
        metavar="URL",
        help="the object store as browsers and doorbells reach it, such as https://store.example; "
        "if not given, --s3-port of the public URL's host, without TLS",
    )
    parser.add_argument(
        "--mqtt-listen",
        metavar="ADDRESS",
        help="where the broker listens for doorbells; if not given, everywhere, or on loopback "
        "where the public URL is this machine's own",
    )
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


def _with_config(parser: argparse.ArgumentParser, run: object) -> None:
    parser.add_argument("--config", type=Path, required=True, metavar="relay.toml")
    parser.set_defaults(run=run)


if __name__ == "__main__":
    sys.exit(main())
