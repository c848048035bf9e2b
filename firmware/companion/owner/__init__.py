"""The owner's program (`doorward`): pair, answer, confirm, recover.

    cli ─┬► approving ─► line (WebRTC, to the doorbell) ─► asking (what is asked, what waits)
         │     └ key_file, fido_key: two kinds of key, each for an approver or an owner's passkey
         └► answering ─► signing (the passkey) ─► account (the relay) ─► answers (sealed notes)

The way to the doorbell is that of other players (`firmware.companion.viewer`): its keys, its
set-up, its signalling. Of Doorward, nothing else is imported but the protocol, what owners share
with officers (`firmware.companion.authenticator`), and the recovery words.
"""
