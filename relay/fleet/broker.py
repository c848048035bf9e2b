"""The bus of the brokers that relay.toml names."""

import ssl

from relay.bus import Bus
from relay.config.settings import Config
from relay.errors import ConfigError
from relay.fleet.broker_keys import BrokerKeys


def bus_of(config: Config) -> Bus:
    """Return the bus, not connected yet; a tls:// broker has to be certified by the fleet CA."""
    keys = BrokerKeys.load(config.broker_keys_path)
    return Bus(
        config.broker.servers,
        relay_seed=keys.relay_seed,
        system_seed=keys.system_seed,
        tls=_tls(config),
        replicas=config.broker.replicas,
    )


def _tls(config: Config) -> ssl.SSLContext | None:
    if not config.broker.servers[0].startswith("tls:"):
        return None
    try:
        return ssl.create_default_context(cafile=str(config.ca_path))
    except (OSError, ssl.SSLError) as error:
        expected = f"the folder with the fleet CA's certificate, ca.pem ({error})"
        raise ConfigError("data_dir", str(config.data_dir), expected) from error
