"""The message protocol between the doorbell and its C2PA program, over one pair of sockets.

    kind (1 byte) ‖ size (4 bytes, big endian) ‖ that many bytes

The doorbell begins with a JOB. The program answers with SIGN, gets a SIGNATURE, and ends with
DONE, ABSENT (no library here) or FAILED (both with words). Imports nothing of Doorward: the
program that imports it shall know nothing, least of all a key.
"""

import socket
import time

JOB, SIGN, SIGNATURE, DONE, ABSENT, FAILED = b"J", b"S", b"G", b"D", b"A", b"F"
HEAD_BYTES = 5
MAX_MESSAGE_BYTES = 64 * 1024


class SignerPipeError(Exception):
    """The other side of a signer pipe ended, timed out, or sent an unexpected message."""


class SignerPipe:
    """One side of the pipe; the doorbell's must end in `timeout_s`.

    The program waits without end: a time limit needs poll(2), which fails where nothing more
    may be opened. It is killed if it is slow, and hears the doorbell's end.
    """

    def __init__(self, end: socket.socket, *, timeout_s: float | None) -> None:
        self._end = end
        self._until_s = None if timeout_s is None else time.monotonic() + timeout_s

    def send(self, kind: bytes, content: bytes = b"") -> None:
        """Send one message, or raise SignerPipeError."""
        self._wait()
        try:
            self._end.sendall(kind + len(content).to_bytes(4, "big") + content)
        except OSError as error:
            raise SignerPipeError(f"its pipe is closed ({error})") from error

    def receive(self) -> tuple[bytes, bytes]:
        """Return the next message's kind and content, or raise SignerPipeError."""
        head = self._read(HEAD_BYTES)
        size = int.from_bytes(head[1:], "big")
        if size > MAX_MESSAGE_BYTES:
            raise SignerPipeError("its message is too large")
        return head[:1], self._read(size)

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            self._wait()
            try:
                more = self._end.recv(size - len(data))
            except TimeoutError as error:
                raise SignerPipeError("it takes too long") from error
            except OSError as error:
                raise SignerPipeError(f"its pipe can't be read ({error})") from error
            if not more:
                raise SignerPipeError("it ended before it was done")
            data += more
        return data

    def _wait(self) -> None:
        if self._until_s is None:
            return
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise SignerPipeError("it takes too long")
        self._end.settimeout(left_s)
