"""Table of what an agency keeps for its request forms: templates and saved areas."""

from sqlalchemy import BigInteger, Column, Index, Table, Text

from relay.store.schema.base import metadata

# The whole agency's; it says nothing of who saved it, and holds no case, time or person.
request_presets = Table(
    "request_presets",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agency", Text, nullable=False),
    Column("kind", Text, nullable=False),  # template | area
    Column("name", Text, nullable=False),
    Column("content", Text, nullable=False),  # JSON of relay.request.presets' class of the kind
    Column("saved_ms", BigInteger, nullable=False),
    Index("request_presets_by_name", "agency", "kind", "name", unique=True),
)
