"""Storage of what owners decide of single clips: which are deleted, and who keeps which.

It is in the library's database, so that one commit makes a decision durable. A deleted clip is
shown by no method of the library but `deleted`, and its file stays until it is erased. Whether it
may be deleted is judged in firmware.consent.
"""

from collections.abc import Iterable

from firmware.store.database import Database


class ClipChoices:
    """The owners' choices on one doorbell's clips. Writing methods return once synced to disk."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def delete(self, clip_ids: Iterable[str], *, until_ms: int) -> None:
        """Show these clips to nobody any more, and let them be erased at `until_ms`.

        Nobody keeps them any longer. A clip that is held can be erased only later.
        """
        ids = list(clip_ids)
        with self._database.write() as connection:
            connection.executemany(
                "UPDATE clips SET deleted_until_ms = ? WHERE clip_id = ? AND state = 'finished'",
                [(until_ms, clip_id) for clip_id in ids],
            )
            connection.executemany(
                "DELETE FROM kept_clips WHERE clip_id = ?", [(clip_id,) for clip_id in ids]
            )

    def restore(self, clip_ids: Iterable[str]) -> None:
        """Show these clips again."""
        with self._database.write() as connection:
            connection.executemany(
                "UPDATE clips SET deleted_until_ms = NULL WHERE clip_id = ?",
                [(clip_id,) for clip_id in clip_ids],
            )

    def keep(self, clip_ids: Iterable[str], credential_id: str, *, is_kept: bool) -> None:
        """Let an owner keep these clips, or not any longer."""
        statement = (
            "INSERT OR IGNORE INTO kept_clips SELECT clip_id, ?2 FROM clips WHERE clip_id = ?1"
            if is_kept
            else "DELETE FROM kept_clips WHERE clip_id = ?1 AND credential_id = ?2"
        )
        with self._database.write() as connection:
            connection.executemany(statement, [(one, credential_id) for one in clip_ids])

    def end_keeps_of(self, credential_id: str) -> None:
        """Let this owner keep nothing any more."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM kept_clips WHERE credential_id = ?", (credential_id,))

    def deleted_until(self) -> dict[str, int]:
        """Return until when each deletion can be taken back, by clip id."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT clip_id, deleted_until_ms FROM clips WHERE deleted_until_ms IS NOT NULL"
            ).fetchall()
        return {row[0]: row[1] for row in rows}

    def kept_by(self) -> dict[str, frozenset[str]]:
        """Return who keeps each clip that somebody keeps."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT clip_id, credential_id FROM kept_clips").fetchall()
        found: dict[str, set[str]] = {}
        for clip_id, credential_id in rows:
            found.setdefault(clip_id, set()).add(credential_id)
        return {clip_id: frozenset(owners) for clip_id, owners in found.items()}
