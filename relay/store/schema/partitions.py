"""Table of the partitions of the fleet."""

from sqlalchemy import BigInteger, Column, Table, Text

from relay.store.schema.base import metadata

# Which process works on a partition; its row is the partition's lock (relay/store/partitions.py).
partition_owners = Table(
    "partition_owners",
    metadata,
    Column("partition", BigInteger, primary_key=True, autoincrement=False),
    Column("owner", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),  # how often it was claimed
)
