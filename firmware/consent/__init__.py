"""May this leave? Pure rules over bytes and facts: no I/O, no clock, imports protocol only.

    UnverifiedStatement (bytes) ── judge ──► Grant | Decision | Refusal
    Grant ── release (confirmation, the log's proof, fresh facts) ──► Release | Refusal
    Decision ── decide (confirmation if it widens, fresh facts) ──► Decided | Refusal

`Release` is the only type that evidence/ takes. `verifier` is what a clip has to pass to leave,
`request_rules` what a request of police must keep, `household_rules` all else that owners decide.
Where facts are stored, how the owner is asked and what is done with a refusal belongs to clips/,
door/ and statements.py.
"""
