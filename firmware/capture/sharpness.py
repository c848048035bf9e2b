"""How sharp a picture is: the variance of its Laplacian over the middle.

J. L. Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000. The figure
depends on what is filmed: it is only compared with itself, while a lens is turned before one scene.
"""

from firmware.capture.camera_output import SmallPicture


def sharpness(picture: SmallPicture) -> int:
    """Return the variance of the Laplacian (4 neighbours) over the luma plane's middle half."""
    import numpy as np  # it may be missing where nothing films

    size = picture.width * picture.height
    luma = np.frombuffer(picture.data, dtype=np.uint8, count=size)
    rows = luma.reshape(picture.height, picture.width)
    top, left = picture.height // 4, picture.width // 4
    middle = rows[top : picture.height - top, left : picture.width - left].astype(np.int16)
    if min(middle.shape) < 3:
        return 0
    centre = middle[1:-1, 1:-1]
    around = middle[:-2, 1:-1] + middle[2:, 1:-1] + middle[1:-1, :-2] + middle[1:-1, 2:]
    return round(float(np.var(around - 4 * centre)))
