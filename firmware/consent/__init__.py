"""May this leave? Pure rules over bytes and facts: no I/O, no clock, imports protocol only.

    bytes ── judge ──► Grant | OwnerAddition | Refusal
    Grant ── release (confirmation, fresh facts) ──► Release | Refusal
    OwnerAddition ── admit (confirmation, fresh facts) ──► Admission | Refusal

`Release` is the only type that evidence/ takes. Where facts are stored, how the owner is asked
and what is done with a refusal belongs to clips/, door/ and app.
"""
