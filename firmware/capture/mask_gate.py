"""The gate that passes only pictures filmed under the owner's newest mask.

From the moment in which a mask is wanted until the camera has taken it, nothing passes at all.
Then coded pictures pass from the first key frame on that was filmed later, and what isn't coded
(luma frames, small pictures) from the first later picture on. Fails closed: a mask that the camera
refuses lets nothing through.

`lets_*` are called on the source's threads, for each picture, and take no lock: each change
replaces one object, so none is undone by a picture that was just being looked at.
"""

from dataclasses import dataclass

from firmware.capture.camera_output import AccessUnit, LumaFrame, SmallPicture
from firmware.capture.video_source import Mask


@dataclass(slots=True, eq=False)
class _Passage:
    """A mask that the camera has applied, and the pictures that may pass since."""

    mask: Mask | None
    from_90k: int = 0
    is_open: bool = False


class MaskGate:
    """Open as long as no mask is wanted."""

    def __init__(self) -> None:
        self._wanted: Mask | None = None
        self._passage = _Passage(None)

    @property
    def wanted(self) -> Mask | None:
        """The newest mask, which the camera may not have applied yet; None before the first."""
        return self._wanted

    def want(self, mask: Mask) -> None:
        """Close the gate until `hidden` or `begin` has named this very mask."""
        self._wanted = mask

    def hidden(self, mask: Mask, from_90k: int) -> None:
        """Note that a running camera has applied this mask, at the latest at `from_90k`."""
        self._passage = _Passage(mask, from_90k)

    def begin(self, mask: Mask | None) -> None:
        """Note that a stopped camera has applied this mask, and is about to start."""
        self._passage = _Passage(mask)

    def lets_unit(self, unit: AccessUnit) -> bool:
        """Return whether this coded picture may be passed on."""
        passage = self._passage
        if passage.mask is not self._wanted:
            return False
        if not passage.is_open and unit.is_key and unit.pts_90k >= passage.from_90k:
            passage.is_open = True
        return passage.is_open

    def lets_picture(self, picture: LumaFrame | SmallPicture) -> bool:
        """Return whether this luma frame or small picture may be passed on."""
        passage = self._passage
        return passage.mask is self._wanted and picture.pts_90k >= passage.from_90k
