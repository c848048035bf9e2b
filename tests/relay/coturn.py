"""A real coturn on loopback, with the settings that `doorward-relay init` writes."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from relay.config.settings import LiveConfig
from relay.config.values import parse_ice_url
from relay.live.coturn import coturn_conf
from tests.fakes.ports import free_port
from tests.fakes.waiting import PATIENCE_S
from tests.relay.servers import wait_for_port

SECRET = "test" * 16


@dataclass(frozen=True, kw_only=True)
class Coturn:
    """One that runs; `config` is how a relay has it."""

    config: LiveConfig
    log_path: Path


@contextmanager
def run_coturn(folder: Path, *, is_closed: bool = False) -> Iterator[Coturn]:
    """Run coturn in `folder`, which is its own; this machine's addresses are peers or closed."""
    port = free_port()
    conf_path, log_path = folder / "turnserver.conf", folder / "coturn.log"
    conf = coturn_conf(host="127.0.0.1", port=port, secret=SECRET)
    conf_path.write_text((conf if is_closed else opened(conf)) + on_loopback(folder))
    secret_path = folder / "turn.secret"
    secret_path.write_text(SECRET)
    secret_path.chmod(0o600)
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            ["turnserver", "-c", conf_path], stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_for_port(port, process)
        at = f"turn:127.0.0.1:{port}"
        yield Coturn(
            config=LiveConfig(
                stun_urls=(parse_ice_url(f"stun:127.0.0.1:{port}"),),
                turn_urls=(parse_ice_url(at), parse_ice_url(f"{at}?transport=tcp")),
                turn_secret_path=secret_path,
            ),
            log_path=log_path,
        )
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def opened(conf: str) -> str:
    """Return the settings with this machine's addresses as peers: for tests only."""
    kept = [line for line in conf.splitlines() if not line.startswith("denied-peer-ip=")]
    return "\n".join([*kept, "allow-loopback-peers"]) + "\n"


def on_loopback(folder: Path) -> str:
    """Return what keeps a coturn to this machine and its files to a folder."""
    return f"""\
listening-ip=127.0.0.1
relay-ip=127.0.0.1
pidfile={folder / "coturn.pid"}
userdb={folder / "turndb"}
log-file=stdout
"""
