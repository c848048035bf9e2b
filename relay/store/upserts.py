"""INSERT … ON CONFLICT for SQLite and PostgreSQL, for which SQLAlchemy has two classes."""

from typing import TYPE_CHECKING

from sqlalchemy import Table

from relay.store.database import Transaction

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite


def upsert(tx: Transaction, table: Table) -> "postgresql.Insert | sqlite.Insert":
    """Return an insert statement that supports ON CONFLICT.

    It imports the dialect of this database alone: the engine has loaded that one already.
    """
    if tx.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)
