"""The JSON API of the owner's app, under /api/v1.

It shows no page and knows no agency's session.
"""
