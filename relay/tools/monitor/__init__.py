"""The program `doorward-monitor`: reads both public logs whole and reports violations.

Anybody can run it.

It believes the policy file it is given, and nothing of whoever serves the logs: roots are computed
from the entries, ages from the witnesses' cosignatures, and the register's rules are those that
every doorbell runs. It shares nothing with a relay but the protocol.

    source ─► readings (a log, checked against policy, tree and what was seen before)
           ─► register_rules, custody_rules ─► report
"""
