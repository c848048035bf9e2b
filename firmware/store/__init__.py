"""SQLite storage: schema, connections and the statements of every table of the doorbell.

SQL is written here, in the library of clips and in the outbox's queue, and nowhere else.
"""
