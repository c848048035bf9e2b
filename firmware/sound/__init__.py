"""Audio: microphone, speaker, talk, echo cancellation, quick replies, speech synthesis.

The microphone is off until the owner switches it on, and its device is open only while somebody
listens. Which viewer hears and talks is decided in `firmware.live`; what a clip keeps of the
sound, by `firmware.clips`.
"""
