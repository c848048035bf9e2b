"""Tables of the theft map: open months with their reports, and what was published."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, Text

from relay.store.schema.base import metadata

# The months in which reports are taken, and those that were published.
theft_months = Table(
    "theft_months",
    metadata,
    Column("month", Text, primary_key=True),  # 2026-11
    Column("secret", Text),  # of its pseudonyms, base64url; deleted at publication
    Column("published_ms", BigInteger),
)

# One account's report, until its month is published. Whose it is only the month's secret tells.
theft_reports = Table(
    "theft_reports",
    metadata,
    Column("month", Text, ForeignKey("theft_months.month"), primary_key=True),
    Column("cell", Text, primary_key=True),  # H3, resolution 8
    Column("account_tag", Text, primary_key=True),  # HMAC-SHA256 of the account's id
    Column("doorbell_tags", Text, nullable=False),  # the same of its doorbells, with spaces between
    Index("theft_reports_by_account", "month", "account_tag"),
)

# Households by cell of a published month: only what is shown, so never fewer than five.
theft_counts = Table(
    "theft_counts",
    metadata,
    Column("month", Text, ForeignKey("theft_months.month"), primary_key=True),
    Column("cell", Text, primary_key=True),
    Column("households", BigInteger, nullable=False),
)

# What was published, byte for byte.
theft_editions = Table(
    "theft_editions",
    metadata,
    Column("month", Text, ForeignKey("theft_months.month"), primary_key=True),
    Column("body", Text, nullable=False),  # JSON of heatmap.publication.Edition
)

# Layers of open data that the operator imported, byte for byte.
theft_imports = Table(
    "theft_imports",
    metadata,
    Column("id", Text, primary_key=True),
    Column("body", Text, nullable=False),  # JSON of heatmap.imports.ImportedLayer
    Column("imported_ms", BigInteger, nullable=False),
)
