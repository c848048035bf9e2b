"""`doorward requests` and `answer` as a person runs them: the programs, a relay, a doorbell."""

from pathlib import Path

from firmware.consent.household_rules import MAX_HOLDS
from firmware.protocol.grants import GrantTerms
from firmware.store.household import HeldTime
from tests.flows.laptop_home import home
from tests.flows.test_pair_program import CLI, pair


async def test_recordings_are_given_and_taken_back_and_leave_only_once_the_door_says_yes(
    tmp_path: Path,
) -> None:
    async with home(tmp_path) as at:
        code, printed = await at.run(CLI, "answer", "0" * 8)
        assert (code, "no doorbell was paired from this machine" in printed) == (1, True), printed
        key, films = tmp_path / "passkey.json", tmp_path / "films"
        await pair(at, key)
        at.connect_desk()
        signed = at.rig.world.signed_request
        code, printed = await at.run(CLI, "requests")
        assert code == 0, printed
        assert at.rig.world.request.text in printed
        assert f"doorward answer {signed.request_digest[:8]}" in printed

        answer = (CLI, "answer", signed.request_digest[:8], "--key-file", str(key))
        code, printed = await at.run(
            *answer, "--save", str(films), "--tell", "name", given="1\nBea\nyes\nlong and blue\n"
        )
        assert code == 0, printed
        assert "asks you once more within ten minutes" in printed
        assert "http://door.test" in printed
        (asked,) = at.desk.waiting()
        assert f"doorward approve {asked.statement.digest[:8]}" in printed
        assert isinstance(asked.checked.terms, GrantTerms)
        assert asked.checked.terms.identity.name == "Bea"
        (film,) = films.glob("*.mp4")
        assert film.read_bytes() == at.line._showing.part(asked.statement.digest, 1)

        assert not at.rig.kept()
        assert await at.desk.confirm(asked.statement.digest) is None
        await at.rig.log_release(at.desk)
        assert at.rig.kept()
        code, printed = await at.run(CLI, "requests")
        assert (code, "sealed; on its way" in printed) == (0, True), printed

        taking = (CLI, "take-back", asked.statement.digest[:8], "--key-file", str(key))
        code, printed = await at.run(*taking, given="yes\nlong and blue\n")
        assert (code, "took it back" in printed) == (0, True), printed
        assert not at.rig.kept()


async def test_a_no_a_hold_and_never_again_reach_the_doorbell(tmp_path: Path) -> None:
    async with home(tmp_path) as at:
        key = tmp_path / "passkey.json"
        await pair(at, key)
        at.connect_desk()
        request, digest = at.rig.world.request, at.rig.world.signed_request.request_digest
        answer = (CLI, "answer", digest[:8], "--key-file", str(key))
        for way, says in (
            ("--decline", "took your no"),
            ("--hold", "keeps that time for 14 days"),
            ("--never-again", "no request of that agency any more"),
        ):
            code, printed = await at.run(*answer, way, given="yes\nlong and blue\n")
            assert (code, says in printed) == (0, True), printed
        assert digest in at.rig.household.declined()
        assert [one.from_ms for one in at.rig.household.holds()] == [request.from_ms]
        assert at.rig.household.refused_agencies() == {request.agency}

        code, printed = await at.run(*answer, "--decline", given="yes\nlong and blue\n")
        assert (code, "has no request" in printed) == (1, True), printed
        code, printed = await at.run(*answer, "--hold", "--audio")
        assert (code, "only what is given has" in printed) == (1, True), printed


async def test_a_doorbells_refusal_is_told_with_its_reason(tmp_path: Path) -> None:
    async with home(tmp_path) as at:
        key = tmp_path / "passkey.json"
        await pair(at, key)
        at.connect_desk()
        request, digest = at.rig.world.request, at.rig.world.signed_request.request_digest
        until_ms = at.rig.now_ms + 60_000
        for number in range(MAX_HOLDS):
            window = {"from_ms": request.from_ms + number, "to_ms": request.to_ms}
            at.rig.household.add_hold(HeldTime(digest=f"{number:064}", until_ms=until_ms, **window))
        answer = (CLI, "answer", digest[:8], "--key-file", str(key))
        code, printed = await at.run(*answer, "--hold", given="yes\nlong and blue\n")
        assert (code, "didn't take it (hold): there are 10 holds already" in printed) == (1, True)
