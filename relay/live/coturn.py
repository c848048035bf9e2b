"""The configuration file of coturn that `doorward-relay init --turn-host` writes.

A TURN server forwards for whoever holds credentials, so these settings let it reach nothing but
public addresses, and bound what one account and all of them can take.
"""

MIN_RELAY_PORT, MAX_RELAY_PORT = 49152, 65535
USER_QUOTA = 32
"""Ways that may be open for one account, and as many for the doorbells that it calls: a browser
opens one to four a session. (A way that nobody closed goes on for up to ten minutes.)"""
TOTAL_QUOTA = 1200
MAX_BYTES_S = 1_500_000
STALE_NONCE_S = 600

# What is not the public internet (RFC 6890): a session never has to reach it by way of TURN.
CLOSED_IPV4 = (
    "0.0.0.0-0.255.255.255",
    "10.0.0.0-10.255.255.255",
    "100.64.0.0-100.127.255.255",
    "127.0.0.0-127.255.255.255",
    "169.254.0.0-169.254.255.255",
    "172.16.0.0-172.31.255.255",
    "192.0.0.0-192.0.0.255",
    "192.168.0.0-192.168.255.255",
    "198.18.0.0-198.19.255.255",
    "240.0.0.0-255.255.255.255",
)
CLOSED_IPV6 = (
    "::1",
    "::ffff:0:0-::ffff:ffff:ffff",
    "64:ff9b::-64:ff9b::ffff:ffff",
    "64:ff9b:1::-64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
    "2002::-2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "fc00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "fe80::-febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
)


def coturn_conf(*, host: str, port: int, secret: str) -> str:
    """Return turnserver.conf for a coturn that is reached as `host`."""
    denied = "\n".join(f"denied-peer-ip={closed}" for closed in (*CLOSED_IPV4, *CLOSED_IPV6))
    return f"""\
# coturn for a Doorward relay. Start it with: turnserver -c turnserver.conf
listening-port={port}
min-port={MIN_RELAY_PORT}
max-port={MAX_RELAY_PORT}
realm={host}

# Behind a NAT, give the public address and the own one:
# external-ip=PUBLIC/PRIVATE

# The relay gives out credentials that end; it has this secret in turn.secret.
use-auth-secret
static-auth-secret={secret}
stale-nonce={STALE_NONCE_S}
fingerprint

# What one account, and all of them, may take: allocations, and bytes a second of one.
user-quota={USER_QUOTA}
total-quota={TOTAL_QUOTA}
max-bps={MAX_BYTES_S}

# Only live view's UDP, and only to the public internet.
no-tcp-relay
no-multicast-peers
{denied}

# Nothing else than STUN and TURN. For turns: URLs give cert=, pkey= and tls-listening-port=5349
# and take no-tls out.
no-tls
no-dtls
no-cli
no-rfc5780
no-stun-backward-compatibility
response-origin-only-with-rfc5780
no-software-attribute
simple-log
"""
