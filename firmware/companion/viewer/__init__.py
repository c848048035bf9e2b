"""The programs for other players on the owner's machine (`doorward-view`): WHEP gateway, mirror.

A player that knows WHEP but nothing of Doorward offers here; the gateway signs the offer with the
session key that the owner enrolled at the doorbell, has the relay carry it, and hands the answer
on only after it has checked that the doorbell signed it for this very offer. Pictures and sound go
straight from the doorbell to the player: the gateway sees neither.

    cli ─► server ─► whep ─► gateway ─► relay (HTTP client)
                       └ guard   └ keys, sdp_fragment, folder

The mirror of recordings is in `mirror/`. Of Doorward, all of it imports the protocol alone (and how
a small file is written).
"""
