"""Clips: the ring they are cut from, the recorder that cuts, the library that keeps them."""
