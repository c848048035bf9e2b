"""A relay that names "TURN servers" in the owner's home, to learn by the answer what is there.

The doorbell stands behind the owner's router, and it is the relay that tells it which STUN and
TURN servers to use. Each attack is also seen to succeed against a doorbell whose rule is out of
the way.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from firmware.protocol.commands import IceServer
from firmware.protocol.encoding import new_id
from tests.fakes.porch import Porch, Refusal, Visitor, porch, visitor
from tests.fakes.waiting import in_time


@dataclass
class Printer:
    """Something that listens in the owner's home."""

    port: int
    calls: list[object] = field(default_factory=list)

    def server(self, how: str) -> list[IceServer]:
        return [IceServer(urls=[how.format(port=self.port)], username="u", credential="c")]


class Knocks(asyncio.DatagramProtocol):
    """Remembers what came."""

    def __init__(self, printer: Printer) -> None:
        self.printer = printer

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.printer.calls.append((data, addr))


@asynccontextmanager
async def at_home() -> AsyncIterator[Printer]:
    """A printer that answers nothing, over TCP and UDP; loopback stands for the home network."""
    printer = Printer(0)

    async def called(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        printer.calls.append("tcp")
        writer.close()

    server = await asyncio.start_server(called, "127.0.0.1", 0)
    printer.port = server.sockets[0].getsockname()[1]
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Knocks(printer), local_addr=("127.0.0.1", printer.port)
    )
    async with server:
        yield printer
    transport.close()


async def carried(someone: Visitor, servers: list[IceServer]) -> None:
    """An honest owner's offer, and what the relay adds to it."""
    someone.session_id = new_id()
    signed = someone.browser.sign(await someone.offer())
    await in_time(someone.send(signed, servers))


async def leave(here: Porch) -> None:
    await here.live.aclose()


HOW = [
    "turn:127.0.0.1:{port}?transport=tcp",
    "turn:127.0.0.1:{port}",
    "stun:127.0.0.1:{port}",
    "turns:127.0.0.1:{port}",
]


@pytest.mark.parametrize("how", HOW)
async def test_the_doorbell_knocks_nowhere_at_home_and_says_why(how: str) -> None:
    async with at_home() as printer, porch() as here, visitor(here) as someone:
        with pytest.raises(Refusal) as refused:
            await carried(someone, printer.server(how))

        assert refused.value.reason == "ice_server"
        assert printer.calls == []
        assert here.live.sessions == 0


@pytest.mark.parametrize("how", HOW)
async def test_without_the_rule_the_printer_is_found(how: str) -> None:
    ours = ("127.0.0.1",)
    async with (
        at_home() as printer,
        porch(private_ice_hosts=ours) as here,
        visitor(here) as someone,
    ):
        await carried(someone, printer.server(how))
        await leave(here)

        assert printer.calls != []


@pytest.mark.parametrize("name", ["localhost", "printer", "printer.local", "127.1", "0x7f000001"])
async def test_another_way_to_write_it_changes_nothing(name: str) -> None:
    async with at_home() as printer, porch() as here, visitor(here) as someone:
        with pytest.raises(Refusal) as refused:
            await carried(someone, printer.server(f"turn:{name}:{{port}}?transport=tcp"))

        assert refused.value.reason == "ice_server"
        assert printer.calls == []


async def test_one_bad_server_among_good_ones_refuses_them_all() -> None:
    async with at_home() as printer, porch() as here, visitor(here) as someone:
        bad = printer.server("turn:127.0.0.1:{port}?transport=tcp")
        with pytest.raises(Refusal):
            await carried(someone, [IceServer(urls=["stun:8.8.8.8"]), *bad])

        assert printer.calls == []
