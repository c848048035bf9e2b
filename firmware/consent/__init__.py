"""Consent rules: pure functions over bytes and facts; no I/O, no clock, imports protocol only.

    UnverifiedStatement (bytes) ── judge ──► Grant | Decision | Refusal
    Grant ── release (confirmation, the log's proof, fresh facts) ──► Release | Refusal
    Decision ── decide (confirmation if it widens, fresh facts) ──► Decided | Refusal

`Release` is the only type that evidence/ takes. `verifier` checks a statement before a clip may
leave, `request_rules` the request of police behind it, `household_rules` every other decision of
owners, `sealed` a sealed package once more. Where facts are stored, how the owner is asked and what
is done with a refusal belongs to store/, local_page/ and decisions/.
"""
