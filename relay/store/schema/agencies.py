"""Tables of agencies: unpublished requests, and evidence."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Table,
    Text,
)

from relay.store.schema.base import metadata

# An agency's agreement in words; the register has its SHA-256.
agreement_texts = Table(
    "agreement_texts",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("text", Text, nullable=False),
)

# A request on its way into the register. Once its entry is there, the register alone says how it
# stands; who is an agency or an officer, the register says as well.
requests = Table(
    "requests",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agency", Text, nullable=False, index=True),
    # Who drafted it:
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("cosigner_id", Text, nullable=False),  # the officer whom it names to co-sign it
    Column("digest", Text, nullable=False, unique=True),
    Column("draft", Text, nullable=False),  # JSON of relay.store.requests.Draft
    Column("cosigned", Text),  # JSON of relay.store.requests.Cosigned
    Column("state", Text, nullable=False),  # relay.store.requests.DeskState
    Column("category", Text),  # why a moderator refused it
    Column("why", Text),  # why the register would have refused it
    Column("drafted_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),  # when it came to this state
    Column("expires_ms", BigInteger),  # the request's own end; not there in rows of version 5
    Index("requests_by_state", "state", "changed_ms"),
)

packages = Table(
    "packages",
    metadata,
    Column("package_id", Text, primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False, index=True),
    Column("device", Text, ForeignKey("doorbells.device"), nullable=False, index=True),
    Column("agency", Text, nullable=False, index=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("part_bytes", BigInteger, nullable=False),
    Column("parts", Text, nullable=False),  # JSON: the SHA-256 of each part, in order
    Column("upload_id", Text),
    Column("object_key", Text),
    Column("state", Text, nullable=False),  # announced | uploading | delivered | downloaded
    Column("at_ms", BigInteger, nullable=False),
    Column("commitment", Text, nullable=False),  # of the release that it belongs to
    Column("announced_ms", BigInteger, nullable=False),
    Column("arrived_ms", BigInteger),
    Index("packages_by_commitment", "commitment", unique=True),
    Index("packages_by_day", "device", "announced_ms"),
)

downloads = Table(
    "downloads",
    metadata,
    Column("id", Text, primary_key=True),
    Column("package_id", Text, ForeignKey("packages.package_id"), nullable=False, index=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("given_ms", BigInteger),  # when its address was first given
)
