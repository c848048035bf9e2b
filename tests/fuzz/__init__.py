"""Rubbish for every parser of what comes from outside: which there are, and how it is made.

`tests/firmware/test_parsers_fuzz.py` does it for a moment; `python -m tests.fuzz` for as long as
one likes, led by coverage.
"""
