"""The command `doorward-relay brokers`: a cluster's files for a relay that has one broker.

The fleet's CA, the relay's keys at the broker and the name that doorbells know stay as they are, so
doorbells are let in there as before.
"""

import argparse
import json
import shutil
from pathlib import Path

from relay.config.loader import load
from relay.config.settings import Config
from relay.errors import ConfigError, InitRefused


def add_brokers_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `brokers` to the relay's command line."""
    text = "write the files of a cluster's brokers for a relay that has one broker; changes nothing"
    parser = commands.add_parser("brokers", help=text, description=text)
    parser.add_argument("--config", type=Path, required=True, metavar="relay.toml")
    parser.add_argument("--cluster", type=int, default=3, metavar="N", help="3 or 5 brokers")
    parser.add_argument(
        "--broker-host",
        action="append",
        default=[],
        metavar="HOST",
        help="the machine of one of the brokers, given for each; without, all are on this machine, "
        "each ten ports after the one before: for a trial",
    )
    parser.add_argument(
        "--mqtt-port", type=int, metavar="PORT", help="for doorbells; as before if not given"
    )
    parser.add_argument("--nats-port", type=int, default=8404, metavar="PORT", help="for the relay")
    parser.add_argument(
        "--route-port", type=int, default=8406, metavar="PORT", help="brokers, for each other"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from relay.cli.init import check_broker_hosts

    config = load(options.config)
    check_broker_hosts(options.cluster, tuple(options.broker_host), None)
    if options.cluster == 1:
        raise ConfigError("--cluster", 1, "3 or 5 brokers")
    for line in write_brokers(
        config,
        size=options.cluster,
        hosts=tuple(options.broker_host),
        mqtt_port=options.mqtt_port or config.broker.mqtt_port,
        nats_port=options.nats_port,
        route_port=options.route_port,
    ):
        print(line)
    return 0


def write_brokers(
    config: Config,
    *,
    size: int,
    hosts: tuple[str, ...],
    mqtt_port: int,
    nats_port: int,
    route_port: int,
) -> list[str]:
    """Write a folder for each broker beside relay.toml; return the lines of [broker] for it.

    InitRefused if there is one already; of what fails nothing is left.
    """
    from relay.base.clock import SystemClock
    from relay.cli.broker_files import cluster_files, peers_of
    from relay.cli.init import EVERYWHERE, LOOPBACK, write_new
    from relay.fleet.broker_keys import BrokerKeys
    from relay.fleet.ca import Authority

    listen = EVERYWHERE if hosts else LOOPBACK
    peers = peers_of(
        hosts,
        size,
        listen=listen,
        nats_port=nats_port,
        mqtt_port=mqtt_port,
        route_port=route_port,
    )
    authority = Authority.load(config.ca_key_path.read_bytes(), config.ca_path.read_bytes())
    files = cluster_files(
        peers,
        authority,
        BrokerKeys.load(config.broker_keys_path),
        mqtt_host=config.broker.mqtt_host,
        now_ms=SystemClock().wall_ms(),
    )
    made = sorted({name.split("/")[0] for name in files})
    for name in made:
        if (config.data_dir / name).exists():
            raise InitRefused(
                f"{config.data_dir / name} is there already; nothing was changed. Move it away if "
                "no broker uses it"
            )
    try:
        for peer in peers:
            (config.data_dir / peer.folder_name / "streams").mkdir(mode=0o700, parents=True)
            (config.data_dir / peer.folder_name).chmod(0o700)
        for name, text in files.items():
            write_new(config.data_dir / name, text)
    except BaseException:
        for name in made:
            path = config.data_dir / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        raise
    return [
        "[broker]",
        f"urls = {json.dumps([peer.url for peer in peers])}",
        f"replicas = {size}",
        f"mqtt_host = {json.dumps(config.broker.mqtt_host)}",
        f"mqtt_port = {mqtt_port}",
    ]
