"""Programs on the owner's own machine: `doorward` and `doorward-view`.

Nothing on the doorbell imports this folder.
"""
