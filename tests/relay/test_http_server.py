"""The HTTP server's sockets: an answer's body doesn't wait for the client's word on its head."""

import socket

from relay.base.http_server import listen_on


def test_connections_send_at_once() -> None:
    # Seen to fail with the socket as socket.create_server returns it; each answer then took 40 ms.
    with listen_on("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
