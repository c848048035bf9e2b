"""The mirror of a doorbell's recordings on a machine at home (`doorward-view mirror`).

    mirror ─► doorbell's list and clips, checked ─► sealed to the owner's key ─► folder, ledger

The machine holds the owner's public key only, so whoever takes it opens nothing. Opening and
checking (`open`, `check`) read the same files elsewhere.
"""
