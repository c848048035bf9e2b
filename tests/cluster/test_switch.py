"""The switch of tests/rigs/switch.py cuts what it says, and nothing else."""

import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial

import pytest

from tests.fakes.waiting import eventually
from tests.rigs.switch import Machine, machines_on_a_switch, why_no_switch

pytestmark = pytest.mark.skipif(bool(why_no_switch()), reason=why_no_switch())

PORT = 8403
ECHO = f"""
import socket
with socket.create_server(("", {PORT})) as server:
    while True:
        server.accept()[0].close()
"""
ASK = f"""
import socket, sys
socket.create_connection((sys.argv[1], {PORT}), 0.3)
"""


@pytest.fixture(scope="module")
def machines() -> Iterator[Sequence[Machine]]:
    with ExitStack() as stack:
        machines = stack.enter_context(machines_on_a_switch(3))
        for machine in machines:
            server = subprocess.Popen([*machine.prefix, sys.executable, "-c", ECHO])
            stack.callback(server.kill)
        yield machines


async def test_whoever_loses_its_cable_is_reached_by_nobody(machines: Sequence[Machine]) -> None:
    one, two, three = machines
    for machine in machines:
        await eventually(partial(_reach_from_here, machine))
    one.pull_cable()
    assert not _reach_from_here(one)
    assert not _reach(two, one)
    await eventually(lambda: _reach_from_here(two))
    await eventually(lambda: _reach(three, two))
    one.plug_in()
    await eventually(lambda: _reach_from_here(one))
    await eventually(lambda: _reach(two, one))


async def test_who_sends_nothing_to_some_is_reached_by_others(machines: Sequence[Machine]) -> None:
    one, two, three = machines
    for machine in machines:
        await eventually(partial(_reach_from_here, machine))
    one.stop_sending(two)
    assert not _reach(one, two)
    assert not _reach(two, one)  # the answer doesn't come
    await eventually(lambda: _reach(one, three))
    await eventually(lambda: _reach(three, one))
    await eventually(lambda: _reach_from_here(one))
    one.send_again()
    await eventually(lambda: _reach(one, two))


def _reach(one: Machine, other: Machine) -> bool:
    command = [*one.prefix, sys.executable, "-c", ASK, other.address]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _reach_from_here(machine: Machine) -> bool:
    try:
        socket.create_connection((machine.address, PORT), 0.3).close()
    except OSError:
        return False
    return True
