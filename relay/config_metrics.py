"""What [metrics] of relay.toml says: where Prometheus asks, if anywhere."""

from relay.config_table import Table
from relay.config_values import LISTEN_EXPECTED, Address, parse_listen


def metrics_listen_of(table: Table) -> Address | None:
    """Return where figures are served; None as long as nobody set it."""
    off: tuple[Address, ...] = ()
    found = table.take("listen", parse_listen, LISTEN_EXPECTED, default=off)
    return found[0] if found else None
