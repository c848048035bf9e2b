"""Owners' decisions: the life of a signed statement, from intake to announcement.

`lifecycle` holds the states and transitions (pure), `executor` the I/O that a step names,
`recovery` the handling of what storage damaged.
"""
