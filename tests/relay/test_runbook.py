"""Alert rules, dashboard and runbook: what they name is served, said and tested."""

import json
import re

import pytest
import yaml  # type: ignore[import-untyped]

from tests.house.documents import REPOSITORY, anchors, sections, table_rows
from tests.relay.served_metrics import text_of_all_metrics

ALERTS = REPOSITORY / "docs/examples/alerts.yml"
DASHBOARD = REPOSITORY / "docs/examples/dashboard.json"
RUNBOOK = REPOSITORY / "docs/guide/runbook.md"
PROMETHEUS_OWN = {"up"}
"""What Prometheus says of each scrape by itself."""


def served() -> dict[str, set[str]]:
    """Return the names of all series that a relay serves, each with its labels."""
    found: dict[str, set[str]] = {}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? ", text_of_all_metrics(), re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return found


def rules() -> list[dict[str, object]]:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    return list(group["rules"])


def queries() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    told = [str(target["expr"]) for panel in panels for target in panel["targets"]]
    return [*told, *(str(rule["expr"]) for rule in rules())]


@pytest.mark.parametrize("query", queries())
def test_a_query_asks_for_what_a_relay_serves(query: str) -> None:
    series = served()
    names = set(re.findall(r"\b(?:doorward|process)_\w+|\bup\b", query))
    assert names
    assert names <= set(series) | PROMETHEUS_OWN
    assert query.count("(") == query.count(")")
    labels = {"job", "instance"}.union(*(series.get(name, set()) for name in names))
    asked = re.findall(r'(\w+)(?:=~?|!=)"', query)
    for listed in re.findall(r"by \(([^)]*)\)", query):
        asked += listed.split(", ")
    assert set(asked) <= labels


def test_a_metric_that_nobody_serves_is_noticed() -> None:
    with pytest.raises(AssertionError):
        test_a_query_asks_for_what_a_relay_serves("max(doorward_presses_lost)")
    with pytest.raises(AssertionError):
        test_a_query_asks_for_what_a_relay_serves('doorward_up{device="x"}')


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_an_alert_is_whole_and_leads_to_its_place_in_the_runbook(rule: dict[str, object]) -> None:
    assert set(rule) - {"for"} == {"alert", "expr", "labels", "annotations"}
    assert re.fullmatch(r"\d+[smhd]", str(rule.get("for", "1m")))
    assert rule["labels"] in ({"severity": "page"}, {"severity": "work"})
    told = rule["annotations"]
    assert isinstance(told, dict)
    assert set(told) == {"summary", "runbook"}
    document, _, heading = str(told["runbook"]).partition("#")
    assert REPOSITORY / document == RUNBOOK
    assert heading in anchors(RUNBOOK)
    (text,) = (its for title, its in sections(RUNBOOK).items() if _anchor(title) == heading)
    assert str(rule["alert"]) in text


def test_the_runbook_knows_every_alert_and_no_other() -> None:
    told = set(re.findall(r"\bDoorward[A-Z]\w+", RUNBOOK.read_text()))
    assert told == {str(rule["alert"]) for rule in rules()}


def test_every_test_that_the_runbook_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", RUNBOOK.read_text())
    assert len(named) >= 30
    for file, function in named:
        text = (REPOSITORY / file).read_text()
        assert re.search(rf"^(?:async )?def {function or 'test_'}", text, re.MULTILINE), function


def test_what_the_runbook_says_of_the_log_stands_in_the_code() -> None:
    said = " ".join(path.read_text() for path in sorted(REPOSITORY.glob("relay/**/*.py")))
    said = re.sub(r'"\s*\n\s*f?"', "", said)
    quoted = [
        line
        for cells in table_rows(RUNBOOK)
        for told in re.findall(r"[Ll]og[^:`|]*: ((?:`[^`]+`(?:, and then |, )?)+)", cells[0])
        for line in re.findall(r"`([^`]+)`", told)
    ]
    assert len(quoted) >= 8
    for line in quoted:
        assert line in said or line == "disk is full", line  # SQLite's own words


def _anchor(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
