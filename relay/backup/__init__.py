"""Backups of a whole relay, and restores that never publish a second history of a log.

taking      database ─► settings and keys ─► the logs' files ─► packages ─► manifest
restoring   manifest, digests ─► database ─► what the world has seen ─► what was lost in between
            ─► bucket ─► settings last: before that nothing can be started

manifest    what a backup holds, with digests
belongings  which files are a relay's, and how they move to another folder
reading     one log as a database tells it, checked from the first entry on
seen        what bucket, backup and witnesses know of a log
recovering  puts entries that were published after the backup back into the database
following   what follows from them: packages, wishes, requests and outcomes
shelving    puts a log's files back into the bucket
"""
