"""Texts of troubles: one sentence for the problem and its remedy, and one when it is over."""

from firmware.protocol.events import CameraState, TroubleCode

CAMERA: dict[CameraState, str] = {
    "working": "The camera works.",
    "starting": "The camera is starting.",
    "missing": "No camera is found: switch the doorbell off and check both ends of its cable.",
    "busy": (
        "Another program holds the camera, or one that crashed left it locked: "
        "stop that program, or restart the doorbell."
    ),
    "frozen": "The camera gives no pictures: Doorward keeps restarting it; check its cable.",
    "unsupported": (
        "Camera or board can't do what is set, or the system isn't a 64-bit one: the doorbell's "
        "log names it; see [camera] and [privacy] in doorbell.toml."
    ),
    "off": "The camera is switched off.",
}
BEGUN: dict[TroubleCode, str] = {
    "camera": "The camera gives no pictures.",
    "camera_gaps": (
        "The camera skips pictures, so that clips have gaps: the board is too busy or too hot, its "
        "power too weak, or the camera's cable loose."
    ),
    "card_full": (
        "The card is full and only held clips are left: new clips are lost. "
        "End a hold, or use a larger card."
    ),
    "card_slow": (
        "The card can't keep up, and parts of clips were lost: use a faster card (A1 or A2)."
    ),
    "card_failing": "The card gives errors: export the clips that you need, and replace it.",
    "storage_key": (
        "The key that seals clips can't be reached, so new clips are lost: check the token, or "
        "[storage] in doorbell.toml."
    ),
    "sound": (
        "Microphone or loudspeaker can't be used: look whether the sound card is plugged in. "
        "The doorbell's log says what failed; see [sound] in doorbell.toml."
    ),
    "too_much_motion": (
        "There is so much motion that it is no longer told or recorded for a while; presses are. "
        "Draw zones around what matters, or lower the sensitivity, in [motion] of doorbell.toml."
    ),
    "power_weak": (
        "The power supply is too weak: use one that gives 5 V and 3 A (5 A for a Pi 5), "
        "and a short, thick cable."
    ),
    "too_hot": "The doorbell is too hot, and makes fewer pictures: give it shade or air.",
    "clock_unknown": (
        "The doorbell doesn't know the time: recordings are dated later, and nothing can be "
        "released. Check its way to the internet."
    ),
    "register": (
        "The register contradicts itself, or its files have long been missing. Nothing is released "
        "until that is over. The doorbell keeps the proof; its log says which: tell the operator."
    ),
    "certificate": (
        "The relay lets this doorbell in no more: its certificate ended too long ago, or it was "
        "revoked. Ask the relay's operator for a new invitation, and reset the doorbell."
    ),
    "shard": (
        "The relay has given this doorbell to another one, which it can't follow yet: it rings and "
        "records, and tries again. Leave it as it is, and tell the relay's operator; the log says "
        "why."
    ),
    "card_cloned": (
        "Another device uses a copy of this doorbell's card. It rings and records; nothing is "
        "released. Give it a new identity at its own page."
    ),
}
OVER: dict[TroubleCode, str] = {
    "camera": "The camera works again.",
    "camera_gaps": "The camera skips no more pictures.",
    "card_full": "There is room on the card again.",
    "card_slow": "The card keeps up again.",
    "card_failing": "The card works again.",
    "storage_key": "The key that seals clips can be reached again.",
    "sound": "Microphone and loudspeaker work again.",
    "too_much_motion": "Motion is told and recorded again.",
    "power_weak": "The power supply is strong enough again.",
    "too_hot": "The doorbell has cooled down.",
    "clock_unknown": "The doorbell knows the time.",
    "register": "The register is again the one that the doorbell knows; the proof is kept.",
    "certificate": "The relay lets this doorbell in again.",
    "shard": "The doorbell has a relay again.",
    "card_cloned": "This doorbell's card is no longer used by two devices.",
}


def trouble_began_text(code: TroubleCode, camera: CameraState) -> str:
    """Return the sentence for a trouble that began."""
    return CAMERA[camera] if code == "camera" else BEGUN[code]


def trouble_over_text(code: TroubleCode) -> str:
    """Return the sentence for a trouble that is over."""
    return OVER[code]
