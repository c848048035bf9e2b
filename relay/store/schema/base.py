"""The metadata that all tables share, and the schema's version."""

from sqlalchemy import BigInteger, Column, Integer, MetaData, Table

SCHEMA_VERSION = 13
"""Goes up with every change here; relay/store/migrations.py then gets the step to it."""

metadata = MetaData()
SERIAL = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite counts in 64 bits only in a column of its type INTEGER."""

# One row: which version of these files made the tables.
schema_version = Table(
    "schema_version",
    metadata,
    Column("version", Integer, nullable=False),
)
