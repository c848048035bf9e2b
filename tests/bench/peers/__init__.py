"""Senders of live view, each a process: Doorward's and its peers', with one film, one way to talk.

`speaking` is how they talk to who started them, `film_camera` the camera they have in common. The
peers in C++ and Rust run in an environment of their own (`.ci/peers`), so what they import of this
repository needs nothing but Python.
"""
