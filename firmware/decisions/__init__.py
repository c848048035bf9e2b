"""Decisions: the life of an owner's statement, from its intake to its last effect.

Whether a statement may take effect is judged by `firmware.consent`; what a step does to disk and
network, and in which order, is decided here.
"""
