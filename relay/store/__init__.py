"""Everything that the relay keeps: tables (SQL lives nowhere else) and the bucket's objects.

One repository file for each group of tables; each function takes the transaction it runs in,
so that what belongs together is committed together.
"""
