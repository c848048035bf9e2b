"""Authentication at a relay from a person's own machine: passkeys, FIDO2 keys, sign-in.

    keyboard (typed) ─► fido_device (their FIDO2 key) ─► passkey ─► relay_calls (strict JSON)

Owners (`firmware.companion.owner`) and officers (`relay.tools.agency.officer_passkey`) share it,
and neither knows
the other. It imports the protocol only; what an owner or an officer is, isn't known here.
"""
