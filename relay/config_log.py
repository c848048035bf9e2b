"""[log] in relay.toml: the two public logs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from relay.config_table import Table
from relay.config_values import (
    BUCKET_EXPECTED,
    LOG_NAME_EXPECTED,
    RETENTION_EXPECTED,
    parse_bucket_name,
    parse_days,
    parse_log_name,
    parse_retention,
    parse_text,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """The two public logs: their name, keys and bucket, and who witnesses them."""

    name: str
    register_key_path: Path
    custody_key_path: Path
    policy_path: Path
    bucket: str = "log"
    retention: Literal["none", "governance", "compliance"] = "governance"
    retention_days: int = 400


def log_of(log: Table, folder: Path) -> LogConfig:
    """Return what [log] says; relative paths are relative to `folder`."""
    return LogConfig(
        name=log.take("name", parse_log_name, LOG_NAME_EXPECTED),
        register_key_path=folder / log.take("register_key", parse_text, "a file"),
        custody_key_path=folder / log.take("custody_key", parse_text, "a file"),
        policy_path=folder / log.take("policy", parse_text, "a file"),
        bucket=log.take("bucket", parse_bucket_name, BUCKET_EXPECTED, default="log"),
        retention=log.take("retention", parse_retention, RETENTION_EXPECTED, default="governance"),
        retention_days=log.take("retention_days", parse_days, "1 to 36500 days", default=400),
    )
