"""The whole story on one machine: the programs as processes, and the people who use them.

`python -m tests.story` is `make demo`; tests/flows play the same code. It speaks to the programs
only as people do (HTTP, WebRTC, the command line, a picture before the camera, a press), and of
Doorward it imports `firmware.protocol` alone: that is what a stranger's client would have.

Read in this order:

    __main__.py  one start: lock, set up, start the servers, play, stay
    play.py      the story, a function a step
    owner.py, officer.py, door.py, viewer.py, authenticator.py   who plays it, and with what
    town.py, servers.py, children.py, settings.py                what it is played on
"""
