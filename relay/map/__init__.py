"""The map: H3 cells, an operator's list of place names, and a file of streets.

Nothing here knows a doorbell, a request or an agency: where a cell is, what a place is called.
"""
