"""Benchmarks: each measures a part of Doorward and its peer in turns, in the same run.

Read `measuring` first (what a result is), then one file a benchmark. `make bench` runs them all
and writes docs/benchmarks.md and docs/benchmarks.json; `make test` runs each once, in short, to see
that it still works. Times are never tested.
"""
