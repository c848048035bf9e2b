"""May this leave? Pure rules over bytes and facts: no I/O, no clock, imports protocol only.

    bytes ── judge ──► Grant | OwnerAddition | BrowserEnrolment | BrowserEnding | Refusal
    Grant ── release (confirmation, fresh facts) ──► Release | Refusal
    OwnerAddition ── admit (confirmation, fresh facts) ──► Admission | Refusal
    BrowserEnrolment ── let_in (confirmation if new, fresh facts) ──► BrowserAdmission | Refusal

A `BrowserEnding` narrows who may see, so it needs no second step.

`Release` is the only type that evidence/ takes. Where facts are stored, how the owner is asked
and what is done with a refusal belongs to clips/, door/ and statements.py.
"""
