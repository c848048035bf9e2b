"""Credits: a public ledger by which partners pay for doorbells, and sign-ups with their codes.

    partner ─► funds ─► campaign (a public code) ─► 13 sign-ups ─► credit ─► a doorbell for somebody
    operator ─► pot (15 doorbells at the start) ───────────────────────────► a doorbell for somebody

Ten dollars for each doorbell that was paired for 30 days with a partner's code; a doorbell costs
130. Place plays no part, a gift obliges nobody to anything, and whoever has a login to the portal
takes no part (R25). Nothing here knows of evidence requests, nor do those of credits.
"""
