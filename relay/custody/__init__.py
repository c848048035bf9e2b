"""The relay's two public logs: the register, and the custody log of what happened to evidence.

    entry ─► pending (in the transaction that wants it) ─► its place in the tree ─► tiles
          ─► witnesses ─► checkpoint ─► whoever waited acts

Log first, then act. Nothing here decides what may be logged: the register's rules are
protocol/register's, and what a doorbell or an agency does is theirs. The relay can't lie with these
logs without its being seen (relay/tools/monitor): that, and not its good will, is what they are
for.
"""
