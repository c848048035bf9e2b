"""Programs that don't run at the relay: for agencies, witnesses and monitors.

No other part of the relay imports them.
"""
