"""Follower of the public register: each doorbell reads it whole and verifies it by itself.

    relay's static files ─► log_source (size limits) ─► state (policy, tree, replay: pure) ─► store
                                                        └─► `RegisterFacts` for firmware.consent

A start begins with the saved state of the replay (snapshots.py), if that is of these very entries
and this doorbell signed it (state_signature.py).

What the entries mean is protocol/register's; what a checkpoint is worth, protocol/tlog's. A
register that was once seen never shrinks and never changes: one that does is refused, kept as
proof, and nothing is released meanwhile.
"""
