"""The panel's hardware: buttons, light, chime, presence sensor, infrared.

`hardware/pins.toml` says where each is wired; `gpio.py` is the only file that knows gpiozero.
What a press means to the rest of the doorbell is `firmware.app.bell`'s.
"""
