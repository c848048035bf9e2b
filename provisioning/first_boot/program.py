"""The first boot's program: does the steps in order, tells how it stands, and never gives up.

It is started at every boot. On a finished doorbell it looks at a few files and ends: nothing is
written, nothing is started. Otherwise each pass asks every step whether it is done, in order; one
that can't be done now is told to people, and tried again later, from the first step on: the network
may have gone meanwhile. One process at a time: a second one ends at once.
"""

import fcntl
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from provisioning.first_boot.board import Board, board_of
from provisioning.first_boot.bundle_check import BundleCheck, is_installed, machine_target
from provisioning.first_boot.clock import ClockStep
from provisioning.first_boot.data_partition import DataPartition
from provisioning.first_boot.displays import BoardLight, Display, PanelLight, Screen, Voice
from provisioning.first_boot.enrol import Enrol
from provisioning.first_boot.errors import (
    CARD_TROUBLES,
    CommandFailed,
    StepFailed,
    card_trouble,
)
from provisioning.first_boot.host import Host
from provisioning.first_boot.install import Install
from provisioning.first_boot.invitation_file import InvitationFile, is_owned
from provisioning.first_boot.network import NetworkStep, address_of
from provisioning.first_boot.notices import Notice, Notices
from provisioning.first_boot.page import Page
from provisioning.first_boot.places import CARD_CLAIM, ENROLMENT, INVITATION, STATUS
from provisioning.first_boot.read_only import ReadOnlySystem
from provisioning.first_boot.settings import Settings, card_settings, host_name
from provisioning.first_boot.start import Start
from provisioning.first_boot.status import (
    Anchors,
    State,
    Status,
    anchors_of,
    installed_version,
    stored_anchors,
    stored_code,
)
from provisioning.first_boot.steps import Step
from provisioning.first_boot.timer import SystemTimer, Timer
from provisioning.first_boot.troubles import look_for_troubles
from provisioning.first_boot.users import ServiceUser

OWNED = "invitation_owned"
LOCK = "/run/doorward-first-boot.lock"
FIRST_WAIT_S, LONGEST_WAIT_S, PERSON_WAIT_S = 2.0, 30.0, 300.0
LAST_LOOK_S = 60.0

log = logging.getLogger("doorward.first_boot")


class Program:
    """Does the steps until all are done."""

    def __init__(
        self,
        host: Host,
        steps: Sequence[Step],
        *,
        displays: Sequence[Display],
        notices: Notices,
        timer: Timer,
        board: Board,
    ) -> None:
        self._host = host
        self._steps = steps
        self._displays = displays
        self._notices = notices
        self._timer = timer
        self._board = board
        self._started_ms = timer.wall_ms()
        self._status: Status | None = None
        self._anchors: Anchors | None = None

    def run(self) -> None:
        """Return when all steps are done."""
        wait_s = FIRST_WAIT_S
        while (failure := self._pass()) is not None:
            if not failure.will_retry:
                wait_s = PERSON_WAIT_S
            log.info("tried again in %.0f s", wait_s)
            self._timer.sleep(wait_s)
            wait_s = min(LONGEST_WAIT_S, wait_s * 2)
        self._report(self._steps[-1].name, "done", "done")
        # Last: where the card has no claim, all is done, the status too.
        self._host.remove(CARD_CLAIM)

    def refuse_invitation(self) -> None:
        """Say on the card, once, that an owned doorbell takes no file from there."""
        if stored_code(self._host) != OWNED:
            self._report(InvitationFile.name, "done", OWNED)

    def _pass(self) -> StepFailed | None:
        """Do what is left, in order; return why it stops, or None at the end."""
        for step in self._steps:
            try:
                if step.is_done(self._host):
                    continue
                if self._status is None or self._status.state != "waiting":
                    self._report(step.name, "working", "working")
                step.do(self._host)
                log.info("%s is done", step.name)
                if self._status is not None and self._status.step == step.name:
                    self._report(step.name, "working", "working")
            except (StepFailed, CommandFailed, OSError) as error:
                failure = _as_step_failure(error)
                log.warning("%s: %s: %s", step.name, failure.code, failure)
                self._report(step.name, "waiting", failure.code, str(failure))
                return failure
        return None

    def _report(self, step: str, state: State, code: str, detail: str = "") -> None:
        """Show how it stands; the card's file is written only if it stands otherwise."""
        look_for_troubles(self._host, self._board, self._notices)
        before = self._anchors or stored_anchors(self._host)
        self._anchors = anchors_of(self._host, before)
        now_ms = self._timer.wall_ms()
        status = Status(
            step=step,
            state=state,
            code=code,
            detail=detail[:400],
            address=address_of(self._host) or "",
            name=host_name(self._host),
            anchors=self._anchors,
            board=self._board.model,
            version=installed_version(self._host),
            notices=self._notices.all(),
            started_ms=self._started_ms,
            changed_ms=now_ms,
        )
        for display in self._displays:
            display.show(status)
        if self._status is None or _is_other(status, self._status):
            self._status = status
            try:
                self._host.write(STATUS, status.encode())
            except OSError as error:
                log.warning("the status can't be written: %s", error.strerror)


def _is_other(new: Status, old: Status) -> bool:
    def facts(status: Status) -> tuple[str, str, str, tuple[Notice, ...]]:
        return status.step, status.state, status.code, status.notices

    return facts(new) != facts(old)


def _as_step_failure(error: StepFailed | CommandFailed | OSError) -> StepFailed:
    match error:
        case StepFailed():
            return error
        case OSError():
            code = CARD_TROUBLES.get(error.errno or 0, "failed")
            return StepFailed(code, error.strerror or "a file can't be used", will_retry=True)
        case _:
            return StepFailed(card_trouble(error.message) or "failed", str(error), will_retry=True)


def has_nothing_to_do(host: Host) -> bool:
    """Return whether the doorbell is finished, and the card brings nothing new."""
    return (
        host.exists(ENROLMENT)
        and not host.exists(CARD_CLAIM)
        and not host.exists(INVITATION)
        and is_installed(host)
    )


def is_refused(host: Host) -> bool:
    """Return whether the card brings a file to a finished doorbell that has an owner."""
    return (
        host.exists(INVITATION)
        and host.exists(ENROLMENT)
        and not host.exists(CARD_CLAIM)
        and is_owned(host)
    )


def make_steps(
    host: Host,
    board: Board,
    notices: Notices,
    timer: Timer,
    *,
    target: str,
    data_partition: Step,
    read_only_system: Step,
) -> list[Step]:
    """Return the steps, in order; the two of the disk's layout are given."""
    check = BundleCheck(target)
    camera = board.camera
    with suppress(StepFailed):  # the step that reads the settings reports it
        camera = card_settings(host).camera or camera
    return [
        InvitationFile(),
        NetworkStep(board, timer),
        check,
        data_partition,
        ServiceUser(),
        Install(check, notices, needs_picamera=camera == "picamera"),
        Settings(board),
        ClockStep(check, notices, timer),
        Enrol(),
        read_only_system,
        Start(),
    ]


@contextmanager
def only_one(host: Host) -> Iterator[bool]:
    """Give whether this is the only first boot that runs."""
    path = host.path(LOCK)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def main() -> int:
    """Be the first boot of this machine."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
    host, timer = Host(), SystemTimer()
    if has_nothing_to_do(host):
        return 0
    with only_one(host) as is_only:
        if not is_only:
            return 0
        board, notices, page = board_of(host), Notices(), Page()
        steps = make_steps(
            host,
            board,
            notices,
            timer,
            target=machine_target(),
            data_partition=DataPartition(),
            read_only_system=ReadOnlySystem(),
        )
        displays: list[Display] = [page, Screen(host), BoardLight(host), Voice(host)]
        if board.has_pins:
            displays.append(PanelLight(host))
        is_owners = is_refused(host)
        program = Program(
            host,
            steps,
            displays=[] if is_owners else displays,
            notices=notices,
            timer=timer,
            board=board,
        )
        if is_owners:
            program.refuse_invitation()
            return 0
        program.run()
        timer.sleep(LAST_LOOK_S)
        page.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
