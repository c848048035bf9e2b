"""Owners' decisions: the life of a signed statement, from intake to announcement.

    statement ─► intake ─► consent ─┬─ refused ─────────────────────────────► replies
                                    ├─ narrows ─────────────────────────────► executor
                                    └─ widens, or a grant ─► owner confirms ─► executor

    executor ─► consent again ─┬─ decision ─► settings, admission, holds ─────► replies
                               └─ grant ─► custody log ─► package_sealer ─► uploads ─► bucket

- `intake` decrypts a statement, has firmware.consent judge it, and takes confirmations.
- `lifecycle` holds the phases and the one table of transitions. Pure.
- `executor` does the I/O of the step that the table names, and resumes after a crash.
- `facts` gathers the facts that consent judges by, `replies` notifies the owners.
- `recovery` refuses statements and reports packages that storage damaged.
- `first_pairing` and `owner_recovery` make somebody an owner at the door, without a statement.
- `request_intake` finds the published requests that concern this doorbell.
"""
