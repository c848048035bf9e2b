"""The relay's pages, rendered on the server: for officers, administrators and the public.

They hold no owner's key, show no footage in the clear from here and never ask for an owner's
passkey. Shared by the faces: rendering, translation, security headers.
"""
