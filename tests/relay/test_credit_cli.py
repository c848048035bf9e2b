"""`doorward-relay credit …`: what an operator does, by the command line alone."""

from pathlib import Path

import pytest

from tests.relay.databases import rows_of
from tests.relay.test_register import Town, town  # noqa: F401 (a fixture)

PARTNER = ("--contact", "Ida Lind", "--email", "ida@warm.example")


@pytest.fixture
def chartered(town: Town) -> Town:  # noqa: F811
    town.sign("charter.json", "ann", "bob")
    assert town.submit("charter.json") == 0
    return town


def ask(town: Town, *arguments: object) -> int:  # noqa: F811
    return town.relay("credit", *arguments, "--config", town.config)


def test_a_campaign_is_paid_booked_and_shown(
    chartered: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert (
        ask(chartered, "partner", "add", "--name", "Warm Homes", "--kind", "charity", *PARTNER) == 0
    )
    assert capsys.readouterr().out == "warm-homes\n"
    assert ask(chartered, "endow") == 0
    assert ask(chartered, "fund", "warm-homes", "--cents", 26_000) == 0
    campaign = ("campaign", "add", "--partner", "warm-homes", "--code", "spring-26")
    assert ask(chartered, *campaign, "--budget", 13_000) == 0
    assert ask(chartered, "book") == 0
    capsys.readouterr()
    assert ask(chartered, "show") == 0
    told = capsys.readouterr().out
    assert "pot 195000, credit 0 cents, 0 doorbells issued" in told
    assert "partner warm-homes (charity, Warm Homes): 13000 cents" in told
    assert "campaign SPRING-26 (Warm Homes): 13000 cents" in told


def test_two_partners_match(chartered: Town, capsys: pytest.CaptureFixture[str]) -> None:
    for name, kind in (("Warm Homes", "charity"), ("Lakeland", "city")):
        assert ask(chartered, "partner", "add", "--name", name, "--kind", kind, *PARTNER) == 0
        assert ask(chartered, "fund", name.lower().replace(" ", "-"), "--cents", 2_000) == 0
    campaign = ("campaign", "add", "--partner", "lakeland", "--code", "CODE", "--budget", 1_000)
    assert ask(chartered, *campaign) == 0
    both = ("--partner", "lakeland", "--partner", "warm-homes")
    assert ask(chartered, "match", "CODE", *both, "--cents", 1_000) == 0
    assert ask(chartered, "match", "CODE", *both, "--cents", 1_000) == 1
    assert "partner/lakeland has 0 cents, and 1000 are needed" in capsys.readouterr().err
    assert ask(chartered, "match", "CODE", *both[:2], "--cents", 1_000) == 2


def test_a_list_is_in_the_log_before_it_is_drawn(
    chartered: Town, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask(chartered, "partner", "add", "--name", "Warm Homes", "--kind", "charity", *PARTNER)
    numbers = tmp_path / "numbers.txt"
    numbers.write_text("3\n1\n2\n")
    capsys.readouterr()
    publish = ("recipients", "publish", "spring", "--partner", "warm-homes", "--by", "lot")
    assert ask(chartered, *publish, "--doorbells", 2, "--numbers", numbers) == 0
    digest = capsys.readouterr().out.strip()
    (entry,) = [
        text
        for (text,) in rows_of(chartered.database, "SELECT entry FROM log_entries")
        if '"credits"' in text
    ]
    assert digest in entry
    assert ask(chartered, "recipients", "draw", "spring") == 1
    assert "try again in some minutes" in capsys.readouterr().err
    receipt = tmp_path / "receipt.txt"
    issue = ("issue", "spring", "--recipient-number", 1, "--out", receipt)
    assert ask(chartered, *issue) == 1
    assert "isn't drawn yet" in capsys.readouterr().err
    assert not receipt.exists()


def test_somebody_with_a_login_is_no_contact(
    chartered: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    enrolled = ("partner", "add", "--name", "Lakeland Police", "--kind", "city", *PARTNER)
    chartered.enrol()
    chartered.relay(
        *("admin", "propose", "agreement", chartered.folder / "enrolment.json"),
        *("--config", chartered.config, "--out", chartered.folder / "change.json"),
    )
    chartered.sign("change.json", "ann", "bob")
    assert chartered.submit("change.json") == 0
    capsys.readouterr()
    assert ask(chartered, *enrolled) == 1
    assert "takes no part in credits" in capsys.readouterr().err
