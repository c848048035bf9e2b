"""INSERT … ON CONFLICT, which SQLite and PostgreSQL have alike and SQLAlchemy has twice."""

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite

from relay.store.database import Transaction


def upsert(tx: Transaction, table: Table) -> "postgresql.Insert | sqlite.Insert":
    """Return an insert that can be told what to do if the row is there."""
    if tx.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)
