"""The relay's storage: database tables (all of its SQL is here) and the bucket's objects.

One repository file for each group of tables; each function takes the transaction it runs in,
so that what belongs together is committed together.
"""
