"""INSERT … ON CONFLICT for SQLite and PostgreSQL, for which SQLAlchemy has two classes."""

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite

from relay.store.database import Transaction


def upsert(tx: Transaction, table: Table) -> "postgresql.Insert | sqlite.Insert":
    """Return an insert statement that supports ON CONFLICT."""
    if tx.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)
