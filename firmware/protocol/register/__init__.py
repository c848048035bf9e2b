"""The register: the public log of agencies, officers and evidence requests.

Every doorbell follows it whole and believes nothing about agencies, officers or requests that isn't
in it. Here are its entries (entries.py), what they add up to (replay.py: a pure state machine that
the doorbell, the relay, the monitor and the verifier of evidence all run), and what of that may be
counted on at a given time (facts.py: age and freshness by the witnesses' clocks).
What a package brings of it is in extract.py, and how that part is replayed in chain.py; the whole
in one file is register_file.py's. How entries get into a log and out again is protocol/tlog's.
"""
