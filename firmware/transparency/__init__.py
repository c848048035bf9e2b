"""Following the register: each doorbell reads it whole, by itself, and believes what is proved.

    relay's static files ─► source (size limits) ─► followed (policy, tree, replay: pure) ─► store
                                                        └─► `RegisterFacts` for firmware.consent

A start begins with what the replay came to before (saving.py), if that is of these very entries
and this doorbell signed it (vouching.py).

What the entries mean is protocol/register's; what a checkpoint is worth, protocol/tlog's. A
register that was once seen never shrinks and never changes: one that does is refused, kept as
proof, and nothing is released meanwhile.
"""
