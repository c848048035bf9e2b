"""The knock (trust rule R10b, way c): an owner's confirmation at the door by a press pattern.

Woken by the owner for one grant, the doorbell says quietly who would get which times, and listens
for the pattern that was chosen here. Outside of that a press is only ever a ring. What is pressed
is read by `firmware.panel.pattern`; what a confirmed grant leads to is not this room's.
"""
