"""Carries out what owners decide of single clips: deletion, its undoing, and keeping.

A deleted clip is shown to nobody from that commit on, and is erased a day later, with the signed
deletion record; or at once, if its owner said so. A crash in between loses nothing: what is marked
as deleted is erased by retention, at the latest.

What is being sent to a viewer at that moment is sent to its end: they have it already. A package
that was sealed before holds its own copy of the clip, and goes on its way.
"""

from firmware.clips.library import Library
from firmware.protocol.decisions import UNDO_MS, DeleteClips, KeepClips, Undelete
from firmware.protocol.notes import ClipsChoice, ClipsDecided
from firmware.store.clip_choices import ClipChoices
from firmware.system.clock import Clock

Choice = DeleteClips | Undelete | KeepClips


class ClipDeletion:
    """Deletes, restores and keeps the clips of one doorbell. Its methods read and write storage."""

    def __init__(self, *, library: Library, choices: ClipChoices, clock: Clock) -> None:
        self._library = library
        self._choices = choices
        self._clock = clock

    def carry_out(self, terms: Choice, credential_id: str) -> None:
        """Store an owner's choice; idempotent."""
        match terms:
            case DeleteClips(clips=clips, is_now=is_now):
                now_ms = self._clock.wall_ms()
                self._choices.delete(clips, until_ms=now_ms if is_now else now_ms + UNDO_MS)
            case Undelete(clips=clips):
                self._choices.restore(clips)
            case KeepClips(clips=clips, is_kept=is_kept):
                self._choices.keep(clips, credential_id, is_kept=is_kept)

    def erase_what_is_due(self, terms: Choice) -> None:
        """Erase what is to be erased at once. Retention erases what a hold keeps meanwhile."""
        if isinstance(terms, DeleteClips) and terms.is_now:
            deleted = self._choices.deleted_until()
            self._library.remove([one for one in terms.clips if one in deleted], "owner")

    def is_done(self, terms: DeleteClips | Undelete) -> bool:
        """Return whether it is in effect already."""
        shown = [one for one in terms.clips if self._library.find(one) is not None]
        if isinstance(terms, Undelete):
            return len(shown) == len(terms.clips)
        return not shown

    def end_keeps_of(self, credential_id: str) -> None:
        """Let an owner who goes keep nothing any more."""
        self._choices.end_keeps_of(credential_id)

    def note_of(self, digest: str, terms: Choice, *, by_name: str) -> ClipsDecided:
        """Return the note that tells every owner of it. Reads storage."""
        match terms:
            case DeleteClips(is_now=True):
                return self._note(digest, "erased", by_name, terms)
            case DeleteClips():
                ends = self._choices.deleted_until()
                until_ms = max((ends.get(one, 0) for one in terms.clips), default=0)
                return self._note(digest, "deleted", by_name, terms, until_ms=until_ms)
            case Undelete():
                return self._note(digest, "restored", by_name, terms)
            case KeepClips(is_kept=is_kept):
                return self._note(digest, "kept" if is_kept else "let_go", by_name, terms)

    def _note(
        self,
        digest: str,
        what: ClipsChoice,
        by_name: str,
        terms: Choice,
        *,
        until_ms: int | None = None,
    ) -> ClipsDecided:
        return ClipsDecided(
            statement_digest=digest,
            what=what,
            by_name=by_name,
            clips=list(terms.clips),
            until_ms=until_ms,
        )
