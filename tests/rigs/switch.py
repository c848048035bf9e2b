"""Machines of a network of their own: namespaces on one switch, whose cables can be pulled.

Each machine is a network namespace with one address, the switch is a bridge in a further one, and
this machine has a cable to it as well. Whatever runs behind `machine.prefix` is on that machine.
Nothing of it is left when this program ends, however it ends: the kernel ends what was started
behind a prefix with the thread that started it (so start it in the main one; only what is starting
in that moment may stay), the namespaces live as long as the processes in them, and the cables go
with them. Needs root.
"""

import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Network

BENCHMARKS = IPv4Network("198.18.0.0/15")
"""Addresses that nobody has in earnest (RFC 2544); a switch takes a /24 of them."""
FIRST_HOST = 11
CABLE = "eth0"
ENDS_WITH_ITS_STARTER = ("setpriv", "--pdeathsig", "KILL")
HOLDER = "import sys; print(flush=True); sys.stdin.read()"


class NoSwitch(Exception):
    """A switch can't be set up here; the text says why."""


@dataclass(kw_only=True)
class Machine:
    """One machine on the switch, at the port `port`."""

    address: str
    port: str
    _own: Sequence[str]
    _switch: Sequence[str]
    _unreachable: set[str] = field(default_factory=set)

    @property
    def prefix(self) -> Sequence[str]:
        """What starts a command on this machine, which ends with the thread that starts it."""
        return (*self._own, *ENDS_WITH_ITS_STARTER)

    def pull_cable(self) -> None:
        """Cut it off from everybody, both ways."""
        _ip(self._switch, f"link set {self.port} down")

    def plug_in(self) -> None:
        """Undo pull_cable."""
        _ip(self._switch, f"link set {self.port} up")

    def stop_sending(self, *others: "Machine") -> None:
        """Let nothing from here reach these machines any more; what they send still comes."""
        for other in others:
            _ip(self._own, f"route add blackhole {other.address}")
            self._unreachable.add(other.address)

    def send_again(self) -> None:
        """Undo stop_sending."""
        while self._unreachable:
            _ip(self._own, f"route del blackhole {self._unreachable.pop()}")


def why_no_switch() -> str:
    """Say why no switch can be set up here; "" if one can."""
    if os.geteuid() != 0:
        return "machines that are parted from each other need root"
    tried = "ip link add sw type bridge && ip link add one type veth peer name two"
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", tried], capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else f"no network can be made here: {done.stderr.strip()}"


@contextmanager
def machines_on_a_switch(count: int) -> Iterator[Sequence[Machine]]:
    """Set up machines that reach each other, and are reached from here, until the block ends."""
    why = why_no_switch()
    if why:
        raise NoSwitch(why)
    with ExitStack() as stack:
        switch = stack.enter_context(_namespace())
        _ip(_in(switch), "link add sw type bridge")
        _ip(_in(switch), "link set sw up")
        network = _free_network()
        cable = f"dw{network.network_address.packed[1:3].hex()}"
        _ip([], f"link add {cable} type veth peer name here netns {switch}")
        stack.callback(_remove, cable)  # at once: the kernel takes its time with namespaces
        _ip(_in(switch), "link set here master sw up")
        _ip([], f"addr add {network[1]}/{network.prefixlen} dev {cable}")
        _ip([], f"link set {cable} up")
        machines = []
        for number in range(count):
            holder = stack.enter_context(_namespace())
            port, address = f"port{number + 1}", network[FIRST_HOST + number]
            own, at_switch = _in(holder), _in(switch)
            _ip(own, f"link add {CABLE} type veth peer name {port} netns {switch}")
            _ip(own, f"addr add {address}/{network.prefixlen} dev {CABLE}")
            _ip(own, "link set lo up")
            _ip(own, f"link set {CABLE} up")
            _ip(at_switch, f"link set {port} master sw up")
            machines.append(Machine(address=str(address), port=port, _own=own, _switch=at_switch))
        yield tuple(machines)


def _free_network() -> IPv4Network:
    taken = subprocess.run(["ip", "-4", "route"], check=True, capture_output=True, text=True)
    networks = [net for net in BENCHMARKS.subnets(new_prefix=24) if str(net) not in taken.stdout]
    return random.choice(networks)


@contextmanager
def _namespace() -> Iterator[int]:
    """Yield the process that holds a new namespace; it ends with this program's end of a pipe."""
    command = ["unshare", "--net", sys.executable, "-c", HOLDER]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True) as process:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise NoSwitch("no namespace can be made here")
        try:
            yield process.pid
        finally:
            process.kill()


def _in(holder: int) -> Sequence[str]:
    return ("nsenter", f"--net=/proc/{holder}/ns/net")


def _ip(place: Sequence[str], words: str) -> None:
    command = [*place, "ip", *words.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoSwitch(f"ip {words}: {done.stderr.strip()}")


def _remove(device: str) -> None:
    subprocess.run(["ip", "link", "del", device], check=False, capture_output=True)
