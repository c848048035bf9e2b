"""The theft map: owners' reports of taken parcels, reduced to bands for each map cell and month.

Nothing here knows a request, a post or a credit, and nothing of it may cite a request. What is
published is the same for everybody, and never changes (docs/decisions/0095).
"""
