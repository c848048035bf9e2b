"""Agencies: the register as the relay replays it, and the documents that agencies and admins sign.

`keys` and `changes` run on their own machines; `register` and `agencies` in the relay, which knows
of agencies, officers and published requests only what the register's log says.
"""
