"""Tables of the credits: partners, campaigns, the public ledger, and sign-ups that wait.

No row ties an account, a doorbell or a place to a campaign: `credit_used` names a doorbell and no
campaign, `credit_due` counts sign-ups of a campaign and names nobody.
"""

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Integer, Table, Text

from relay.store.schema.base import metadata

# Who pays for doorbells. The contact is the operator's to know; all else is public.
credit_partners = Table(
    "credit_partners",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),  # city | charity | business
    Column("contact", Text, nullable=False),
    Column("email", Text, nullable=False),
)

# Campaigns with their public codes. `head_start` hides how many sign-ups completed a lot.
credit_campaigns = Table(
    "credit_campaigns",
    metadata,
    Column("code", Text, primary_key=True),
    Column("partner", Text, ForeignKey("credit_partners.id"), nullable=False),
    Column("head_start", Integer, nullable=False),
)

# The public ledger, in cents. A row is never changed or deleted.
credit_transactions = Table(
    "credit_transactions",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("month", Text, nullable=False, index=True),  # 2026-11; nothing finer is kept
    Column("kind", Text, nullable=False),  # relay.store.credit.TransactionKind
    Column("reference", Text),  # issue: SHA-256 of the receipt
)
credit_lines = Table(
    "credit_lines",
    metadata,
    Column("number", BigInteger, ForeignKey("credit_transactions.number"), primary_key=True),
    Column("account", Text, primary_key=True),
    Column("cents", BigInteger, nullable=False),
)

# Sums of the lines; the database itself refuses one below 0, but for money from outside.
credit_balances = Table(
    "credit_balances",
    metadata,
    Column("account", Text, primary_key=True),
    Column("cents", BigInteger, nullable=False),
    CheckConstraint("cents >= 0 OR account = 'outside'", name="credit_balance_is_covered"),
)

# How many sign-ups of a campaign are due from a month on. A sign-up is a number here, not a row.
credit_due = Table(
    "credit_due",
    metadata,
    Column("code", Text, ForeignKey("credit_campaigns.code"), primary_key=True),
    Column("month", Text, primary_key=True),
    Column("sign_ups", Integer, nullable=False),
)

# Doorbells that have earned: each once. Not when, nor for which campaign.
credit_used = Table(
    "credit_used",
    metadata,
    Column("device", Text, ForeignKey("doorbells.device"), primary_key=True),
)

# Closed months, by the digest of their published file.
credit_months = Table(
    "credit_months",
    metadata,
    Column("month", Text, primary_key=True),
    Column("sha256", Text, nullable=False),
)

# Lists of recipients' numbers, with the terms; `seed` is set by the draw.
credit_recipient_lists = Table(
    "credit_recipient_lists",
    metadata,
    Column("name", Text, primary_key=True),
    Column("document", Text, nullable=False),  # canonical JSON of credit.recipients.RecipientList
    Column("sha256", Text, nullable=False),
    Column("entry", BigInteger, nullable=False),  # its number in the custody log
    Column("checkpoint_size", BigInteger),
    Column("checkpoint_root", Text),
)

# Which recipients' doorbells were issued.
credit_issues = Table(
    "credit_issues",
    metadata,
    Column("list", Text, ForeignKey("credit_recipient_lists.name"), primary_key=True),
    Column("recipient", BigInteger, primary_key=True),
    Column("number", BigInteger, ForeignKey("credit_transactions.number"), nullable=False),
)
