"""Accounts: invitations, passkeys and sessions, for owners and officers alike.

Nobody has a password. An invitation lets one person register one passkey; a passkey signs in.
What a session may do is decided where it is used.
"""
