"""The neighbours' feed: what happened in a district, written by those who live there.

    member ─► post, pictures ─► moderator ─► end of the hour ─► everybody ─► erased after 30 days

The relay knows a member's district and a post's cell of resolution 8, and nothing finer (R22).
"""
