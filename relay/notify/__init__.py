"""Notifications: the hub behind open event streams, and Web Push where no page is open.

A push goes subscriptions ─► pusher (kept, again, in time) ─► endpoints (where it may go) ─► sender
(HTTP, with the relay's key); web_push puts them together.
"""
