"""What the commands of `doorward-relay` do once their options are read.

Each module here is imported when its command was chosen, since it opens the database: the modules
that define the options import none of these, so that `--help` and wrong use answer at once.
"""
