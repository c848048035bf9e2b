"""The metadata that all tables share, and the schema's version."""

from sqlalchemy import Column, Integer, MetaData, Table

SCHEMA_VERSION = 13
"""Goes up with every change here; relay/store/migrations.py then gets the step to it."""

metadata = MetaData()

# One row: which version of these files made the tables, the oldest version whose relays may use
# them, and how many parts of the step to the next version are done (relay/store/history.py).
schema_version = Table(
    "schema_version",
    metadata,
    Column("version", Integer, nullable=False),
    Column("compatible_from", Integer, nullable=False, server_default="13"),
    Column("parts_done", Integer, nullable=False, server_default="0"),
)
