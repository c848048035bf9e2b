"""Prometheus's own promtool reads the metrics, the alert rules and the dashboard's queries.

Each alert is seen to be sent for the series that it is for, and to be silent for healthy ones.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from tests.house.documents import REPOSITORY
from tests.relay.served_metrics import text_of_all_metrics

ALERTS = REPOSITORY / "docs/examples/alerts.yml"
DASHBOARD = REPOSITORY / "docs/examples/dashboard.json"
NOT_A_FAULT = (
    "doorward_agreement_days_left use base unit",
    "doorward_shard_directory_days_left use base unit",
)
"""promtool would count an agreement's days in seconds; people don't."""

NOT_KNOWN = " ".join(["NaN"] * 301)
"""What one of several processes says of what only another one knows."""

WAITS = 'doorward_database_wait_seconds_bucket{{le="{le}"}}'
COMMITS = 'doorward_database_commit_seconds_bucket{{le="{le}"}}'
OLDEST_WRITE = 'doorward_database_oldest_write_seconds{instance="a"}'
WITNESS = 'doorward_witness_age_seconds{instance="a", log="custody", witness="ann"}'
STREAM = 'doorward_stream_{}{{stream="DW_EVENTS"}}'
HEALTHY = {
    'up{job="doorward", instance="a"}': "1x300",
    'doorward_up{instance="a", part="broker"}': "1x300",
    STREAM.format("oldest_seconds"): "2x300",
    STREAM.format("redelivered"): "0x300",
    STREAM.format("has_leader"): "1x300",
    "doorward_doorbells": "100x300",
    "doorward_doorbells_online": "97x300",
    'doorward_callouts_total{outcome="refused"}': "0+1x300",
    WAITS.format(le="0.1"): "0+100x300",
    WAITS.format(le="+Inf"): "0+100x300",
    COMMITS.format(le="0.1"): "0+100x300",
    COMMITS.format(le="+Inf"): "0+100x300",
    OLDEST_WRITE: "0.2x300",
    'doorward_disk_free_bytes{instance="a"}': "80000000000-1000000x300",
    'doorward_log_age_seconds{log="custody"}': "300x300",
    'doorward_log_entries{log="custody"}': "0+1x300",
    'doorward_log_published_entries{log="custody"}': "0+1x300",
    WITNESS: "300x300",
    "doorward_moderation_oldest_seconds": "60x300",
    "doorward_pushes_waiting": "3x300",
    "doorward_commands_waiting": "5x300",
    'doorward_http_requests_total{route="/api/events", status="200"}': "0+600x300",
    'doorward_http_requests_total{route="/api/events", status="500"}': "0x300",
    'doorward_backup_age_seconds{instance="a"}': "3600x1800",
    'doorward_backup_age_seconds{instance="b"}': NOT_KNOWN,
    "doorward_agreement_texts_unfit": "0x300",
    'doorward_agreement_days_left{instance="a"}': "200x300",
    'doorward_agreement_days_left{instance="b"}': NOT_KNOWN,
    'doorward_shard_directory_days_left{instance="a"}': "60x300",
    'doorward_shard_directory_days_left{instance="b"}': NOT_KNOWN,
    "doorward_doorbell_certificates_ending": "0x1800",
    "doorward_doorbells_cloned": "0x300",
    "doorward_doorbell_claims_replayed": "7x300",
}
"""The series of a relay at which nobody has to look, minute by minute."""
FAULTS: dict[str, tuple[dict[str, str], str]] = {
    "DoorwardProcessAway": ({'up{job="doorward", instance="a"}': "1x10 0x290"}, "20m"),
    "DoorwardPartAway": ({'doorward_up{instance="a", part="broker"}': "0x300"}, "20m"),
    "DoorwardEventsWait": ({STREAM.format("oldest_seconds"): "0+60x300"}, "20m"),
    "DoorwardEventsComeAgain": ({STREAM.format("redelivered"): "3x300"}, "20m"),
    "DoorwardStreamWithoutLeader": ({STREAM.format("has_leader"): "0x300"}, "20m"),
    "DoorwardDoorbellsOffline": ({"doorward_doorbells_online": "70x300"}, "20m"),
    "DoorwardDoorbellsRefused": (
        {'doorward_callouts_total{outcome="refused"}': "0+120x300"},
        "40m",
    ),
    "DoorwardWritesWait": (
        {WAITS.format(le="0.1"): "0x300", WAITS.format(le="5"): "0+100x300"},
        "20m",
    ),
    "DoorwardCommitsSlow": (
        {COMMITS.format(le="0.1"): "0x300", COMMITS.format(le="5"): "0+100x300"},
        "20m",
    ),
    "DoorwardWritesStand": (
        {
            OLDEST_WRITE: "0.2x9 30+60x290",
            WAITS.format(le="0.1"): "0+100x9 1000x290",
            WAITS.format(le="+Inf"): "0+100x9 1000x290",
            COMMITS.format(le="0.1"): "0+100x9 1000x290",
            COMMITS.format(le="+Inf"): "0+100x9 1000x290",
        },
        "20m",
    ),
    "DoorwardDiskFillsUp": (
        {'doorward_disk_free_bytes{instance="a"}': "80000000000-100000000x300"},
        "120m",
    ),
    "DoorwardLogOld": ({'doorward_log_age_seconds{log="custody"}': "0+60x300"}, "120m"),
    "DoorwardLogBehind": ({'doorward_log_published_entries{log="custody"}': "0x300"}, "60m"),
    "DoorwardWitnessAway": ({WITNESS: NOT_KNOWN}, "180m"),
    "DoorwardClockBehind": ({WITNESS: "-60x300"}, "20m"),
    "DoorwardModerationWaits": ({"doorward_moderation_oldest_seconds": "0+60x300"}, "60m"),
    "DoorwardPushesWait": ({"doorward_pushes_waiting": "2000x300"}, "20m"),
    "DoorwardCommandsWait": ({"doorward_commands_waiting": "0+200x300"}, "120m"),
    "DoorwardPagesFail": (
        {'doorward_http_requests_total{route="/api/events", status="500"}': "0+60x300"},
        "20m",
    ),
    "DoorwardBackupOld": ({'doorward_backup_age_seconds{instance="a"}': NOT_KNOWN}, "90m"),
    "DoorwardAgreementTextUnfit": ({"doorward_agreement_texts_unfit": "1x300"}, "20m"),
    "DoorwardAgreementEnds": ({'doorward_agreement_days_left{instance="a"}': "20x300"}, "20m"),
    "DoorwardShardDirectoryEnds": (
        {'doorward_shard_directory_days_left{instance="a"}': "20x300"},
        "90m",
    ),
    "DoorwardCertificatesEnd": ({"doorward_doorbell_certificates_ending": "4x1800"}, "1500m"),
    "DoorwardCardCopied": ({"doorward_doorbell_claims_replayed": "7x10 8x290"}, "20m"),
}
"""For each alert: what differs from a healthy relay, and when it is looked at."""


def promtool(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("Debian's package promtool isn't installed")
    return subprocess.run(
        [program, *arguments], input=given, capture_output=True, text=True, timeout=60
    )


def rules() -> list[dict[str, object]]:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    return list(group["rules"])


def test_every_rule_is_read_and_none_is_doubled() -> None:
    said = promtool("check", "rules", "--lint=all", "--lint-fatal", str(ALERTS))
    assert said.returncode == 0, said.stderr + said.stdout
    assert f"{len(rules())} rules found" in said.stdout


def test_a_relays_metrics_are_read() -> None:
    said = promtool("check", "metrics", given=text_of_all_metrics())
    faults = [line for line in said.stderr.splitlines() if not line.startswith(NOT_A_FAULT)]
    assert faults == []


def test_every_query_of_the_dashboard_is_read() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    assert len(queries) > 15
    for query in queries:
        said = promtool("--experimental", "promql", "format", query)
        assert said.returncode == 0, f"{query}: {said.stderr}"


def test_each_alert_is_sent_for_its_fault_and_for_nothing_else(tmp_path: Path) -> None:
    assert set(FAULTS) == {str(rule["alert"]) for rule in rules()}
    cases = [_case(HEALTHY | differs, at, sent=[name]) for name, (differs, at) in FAULTS.items()]
    cases += [_case(HEALTHY, at, sent=[]) for at in ("20m", "180m")]
    (tmp_path / "alerts.yml").write_text(ALERTS.read_text())
    (tmp_path / "cases.yml").write_text(
        yaml.safe_dump({"rule_files": ["alerts.yml"], "tests": cases}, width=1000)
    )
    said = promtool("test", "rules", str(tmp_path / "cases.yml"))
    assert said.returncode == 0, said.stderr + said.stdout


def _case(series: dict[str, str], at: str, *, sent: list[str]) -> dict[str, object]:
    """Return a case of promtool's: exactly these alerts are sent at that time."""
    return {
        "name": f"{sent} at {at}",
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": at,
                "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sent],
            }
        ],
    }
