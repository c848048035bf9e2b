"""Transparency logs in the C2SP formats, for log, witness, doorbell, agency and monitor.

`merkle` is the tree (RFC 6962), `signed_note` and `checkpoint` what is signed, `policy` whom to
believe, `proof` that an entry is in a log, `tiles` how a log is published, `witness` how a
checkpoint is shown to one. Pure, like all of the protocol: bytes in, frozen facts out.
"""
