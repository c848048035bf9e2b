"""What `doorward-relay init` writes for the broker: its settings, key and certificate.

A cluster has a folder for each of its brokers, to be copied to that broker's machine and started in
there (cd broker-1 && nats-server -c nats.conf):

    nats.conf            the broker's settings; every path in it is relative
    ca.pem               the fleet CA, for doorbells and the relay
    broker.key, .pem     TLS for those two
    cluster-ca.pem       the cluster's CA, for the other brokers
    route.key, .pem      TLS between brokers
    streams/             where it keeps its streams

Between brokers only certificates of the cluster's own CA count: a doorbell's is of the fleet's, and
who gets in there is no client but a broker, who reads and says everything.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from relay.config.values import Address
from relay.fleet.broker_keys import BrokerKeys, public_key
from relay.fleet.ca import CLUSTER_CA, Authority, key_pem, pem_of

MAX_PAYLOAD_BYTES = 131_072
CALLOUT_TIMEOUT_S = 5
ON_THIS_MACHINE = ("localhost", "127.0.0.1")
PORT_STEP = 10
"""Between brokers of one machine, for a trial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One broker of a cluster: its number from 1, its host, and its three ports."""

    number: int
    host: str
    listen: str
    """The address on which it listens for everybody."""
    nats_port: int
    mqtt_port: int
    route_port: int

    @property
    def folder_name(self) -> str:
        """The name of the folder with its files."""
        return f"broker-{self.number}"

    @property
    def url(self) -> str:
        """Where relays find it."""
        return f"tls://{self.host}:{self.nats_port}"


def peers_of(
    hosts: Sequence[str],
    size: int,
    *,
    listen: str,
    nats_port: int,
    mqtt_port: int,
    route_port: int,
) -> tuple[Peer, ...]:
    """Return the brokers on these hosts; none named: all on this machine, at ports of their own."""
    step = 0 if hosts else PORT_STEP
    return tuple(
        Peer(
            number=number + 1,
            host=hosts[number] if hosts else "127.0.0.1",
            listen=listen,
            nats_port=nats_port + number * step,
            mqtt_port=mqtt_port + number * step,
            route_port=route_port + number * step,
        )
        for number in range(size)
    )


def broker_files(
    folder: Path,
    authority: Authority,
    keys: BrokerKeys,
    *,
    host: str,
    nats_port: int,
    mqtt: Address,
    now_ms: int,
) -> dict[str, str]:
    """Return the files of the one broker of a relay, by their paths below `folder`."""
    hosts = list(dict.fromkeys([host, *ON_THIS_MACHINE]))
    return {
        **_server_files(authority, hosts, now_ms),
        "nats.conf": nats_conf(folder, keys, nats_port, mqtt),
    }


def cluster_files(
    peers: Sequence[Peer], authority: Authority, keys: BrokerKeys, *, mqtt_host: str, now_ms: int
) -> dict[str, str]:
    """Return the files of a cluster's brokers, by their paths below the relay's folder."""
    routes = Authority.create(now_ms, name=CLUSTER_CA)
    files = {"cluster-ca.key": key_pem(routes.key), "cluster-ca.pem": routes.pem}
    for peer in peers:
        hosts = list(dict.fromkeys([peer.host, mqtt_host, *ON_THIS_MACHINE]))
        route_key = ec.generate_private_key(ec.SECP256R1())
        own = {
            **_server_files(authority, hosts, now_ms),
            "ca.pem": authority.pem,
            "cluster-ca.pem": routes.pem,
            "route.key": key_pem(route_key),
            "route.pem": pem_of(routes.sign_route(route_key.public_key(), [peer.host], now_ms)),
            "nats.conf": cluster_conf(peer, peers, keys),
        }
        files |= {f"{peer.folder_name}/{name}": text for name, text in own.items()}
    return files


def _server_files(authority: Authority, hosts: Sequence[str], now_ms: int) -> dict[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = authority.sign_broker(key.public_key(), hosts, now_ms)
    return {"broker.key": key_pem(key), "broker.pem": pem_of(certificate)}


def nats_conf(folder: Path, keys: BrokerKeys, nats_port: int, mqtt: Address) -> str:
    """Return the one broker's settings; `mqtt` is where it listens for doorbells."""
    return f"""\
# The broker of a Doorward relay. Start it with: nats-server -c nats.conf
server_name: doorward
listen: "127.0.0.1:{nats_port}"
max_payload: {MAX_PAYLOAD_BYTES}

jetstream {{
  store_dir: {_text(str(folder / "broker"))}
}}

{_mqtt(mqtt, folder)}
{_accounts(keys)}"""


def cluster_conf(peer: Peer, peers: Sequence[Peer], keys: BrokerKeys) -> str:
    """Return the settings of one broker of a cluster, for its own folder."""
    others = "\n".join(f'    "tls://{one.host}:{one.route_port}"' for one in peers if one != peer)
    return f"""\
# Broker {peer.number} of {len(peers)} of a Doorward relay. Start it in this folder:
# nats-server -c nats.conf
server_name: doorward-{peer.number}
listen: "{_address(peer.listen, peer.nats_port)}"
max_payload: {MAX_PAYLOAD_BYTES}

# A relay that hangs answers no ping. It is left after 15 s, and the others get its questions.
ping_interval: "5s"
ping_max: 2

# Relays: TLS from the first byte, and their own keys.
tls {{
  cert_file: "broker.pem"
  key_file: "broker.key"
  timeout: 5
  handshake_first: true
}}

jetstream {{
  store_dir: "streams"
}}

{_mqtt(Address(host=_bracketed(peer.listen), port=peer.mqtt_port), None, replicas=len(peers))}
# The other brokers, by certificates of the cluster's own CA: a doorbell's opens nothing here.
cluster {{
  name: doorward
  listen: "{_address(peer.listen, peer.route_port)}"
  no_advertise: true
  tls {{
    cert_file: "route.pem"
    key_file: "route.key"
    ca_file: "cluster-ca.pem"
    verify: true
    timeout: 5
  }}
  routes: [
{others}
  ]
}}

{_accounts(keys)}"""


def _mqtt(mqtt: Address, folder: Path | None, *, replicas: int = 1) -> str:
    def path(name: str) -> str:
        return _text(name if folder is None else str(folder / name))

    # A doorbell that comes while another leader is elected is turned away after that time, and
    # tries again: with the usual 5 s it was out for 11 s, twice of three times.
    streams = "" if replicas == 1 else f'  stream_replicas: {replicas}\n  js_api_timeout: "2s"\n'
    return f"""\
# Doorbells: MQTT 3.1.1 over mutual TLS. Only certificates of the fleet CA get this far.
mqtt {{
  listen: "{mqtt}"
{streams}  tls {{
    cert_file: {path("broker.pem")}
    key_file: {path("broker.key")}
    ca_file: {path("ca.pem")}
    verify: true
    timeout: 5
  }}
}}
"""


def _accounts(keys: BrokerKeys) -> str:
    relay, system = public_key(keys.relay_seed), public_key(keys.system_seed)
    return f"""\
accounts {{
  APP {{
    jetstream: enabled
    users: [ {{ nkey: {relay} }} ]
  }}
  SYS {{
    users: [ {{ nkey: {system} }} ]
  }}
}}
system_account: SYS

# Everybody but the relay itself is let in, or not, by the relay (relay/fleet/callout.py).
authorization {{
  timeout: {CALLOUT_TIMEOUT_S}
  auth_callout {{
    account: APP
    issuer: {public_key(keys.issuer_seed)}
    auth_users: [ {relay}, {system} ]
  }}
}}
"""


def _text(text: str) -> str:
    return json.dumps(text)  # a JSON string is a NATS string


def _address(host: str, port: int) -> str:
    return str(Address(host=_bracketed(host), port=port))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
