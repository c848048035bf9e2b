"""Programs that run elsewhere than the relay: at agencies, witnesses and monitors.

No other part of the relay imports them.
"""
