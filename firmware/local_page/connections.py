"""Bounds on the page's connections: how long a request may take to arrive, and how many there are.

Anybody in the home network can open connections and send half a request on each; addresses are free
there, too. So a request has to be here soon, and where there are too many connections one that
waits for nothing but its own next byte gives way to a new one: of the address with the most, the
oldest. A request that is whole is never cut off.
"""

import asyncio
import time
from collections import Counter
from email.utils import formatdate
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

MAX_CONNECTIONS = 64
MAX_PER_ADDRESS = 16
HEAD_S = 5.0
"""Timeout of a request's header fields, from the connection or a later request's first byte."""
BODY_S = 8.0
"""Timeout of its body, from then on; longer than `forms.READ_S`, after which a reason is sent."""


class BoundedConnection(H11Protocol):
    """One connection; uvicorn makes them. Those that are open are in `server_state`, oldest first.

    uvicorn 0.54 has a timeout between requests, and none for a request that never ends.
    """

    head_s = HEAD_S
    body_s = BODY_S

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],  # Any: Starlette's lifespan state, of which there is none
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._deadline: asyncio.TimerHandle | None = None
        self._is_in_body = False
        self.opened_s = self.loop.time()

    @property
    def address(self) -> str:
        """The other side's address."""
        return self.client[0] if self.client else ""

    @property
    def is_being_answered(self) -> bool:
        """Return whether a whole request is here, and its answer isn't complete."""
        cycle = self.cycle
        return cycle is not None and not cycle.response_complete and not cycle.more_body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or abort one that gives way."""
        super().connection_made(transport)
        self._set_deadline(self.head_s)
        others = [one for one in self.connections if isinstance(one, BoundedConnection)]
        by_address = Counter(one.address for one in others)
        if by_address[self.address] > MAX_PER_ADDRESS:
            self._make_room([one for one in others if one.address == self.address])
        elif len(others) > MAX_CONNECTIONS:
            most = max(by_address.values())
            self._make_room([one for one in others if by_address[one.address] == most])

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._set_deadline(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes: they prolong nothing, but a head that ends begins the body's time."""
        date = formatdate(time.time(), usegmt=True).encode()  # RFC 9110 6.6.1
        self.server_state.default_headers = [(b"date", date), *self.config.encoded_headers]
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """Begin to wait for another request."""
        super().on_response_complete()
        self._set_deadline(None)  # uvicorn's own, until a byte comes
        self._is_in_body = False

    def _look(self) -> None:
        if self.is_being_answered:
            self._set_deadline(None)
            return
        cycle = self.cycle
        is_in_body = cycle is not None and not cycle.response_complete
        if self._deadline is None or is_in_body != self._is_in_body:
            self._is_in_body = is_in_body
            self._set_deadline(self.body_s if is_in_body else self.head_s)

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if seconds is not None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(seconds, self.transport.abort)

    def _make_room(self, those: "list[BoundedConnection]") -> None:
        """Abort the oldest of those that aren't being answered; itself, if all others are."""
        waiting = [one for one in those if one is not self and not one.is_being_answered]
        (min(waiting, key=lambda one: one.opened_s) if waiting else self).transport.abort()
