"""What an owner does at their own machine (`doorward`): confirm from anywhere, recover, look, pair.

    cli ─► approving ─► line (WebRTC, to the doorbell) ─► asking (what waits; the word of a key)
              └ key_file, fido_key: two kinds of approver's key

The way to the doorbell is that of other players (`firmware.viewer`): its keys, its set-up, its
signalling. Of Doorward, nothing else is imported but the protocol, and the recovery words.
"""
