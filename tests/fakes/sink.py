"""A camera's sink that hands each picture to a function, for tests that film without a keeper."""

from collections.abc import Callable, Sequence

from firmware.capture.camera_output import AccessUnit, LumaFrame, SmallPicture


class FunctionSink:
    """Implements `firmware.capture.video_source.PictureSink`; what has no function is dropped."""

    def __init__(
        self,
        on_unit: Callable[[AccessUnit], object] = lambda _: None,
        on_luma: Callable[[LumaFrame], object] = lambda _: None,
        on_small: Callable[[SmallPicture], object] = lambda _: None,
    ) -> None:
        self.take_unit = on_unit
        self.take_luma = on_luma
        self.take_small = on_small

    def on_unit(self, unit: AccessUnit) -> None:
        self.take_unit(unit)

    def on_luma(self, frame: LumaFrame) -> None:
        self.take_luma(frame)

    def on_small(self, picture: SmallPicture) -> None:
        self.take_small(picture)


class PictureList(list):
    """Keeps every picture that it gets, where a ring (`add`) or a hub (`put`) belongs."""

    def add(self, unit: AccessUnit) -> None:
        self.append(unit)

    def newest_gop(self) -> Sequence[AccessUnit]:
        keys = [index for index, unit in enumerate(self) if unit.is_key]
        return self[keys[-1] :] if keys else []

    def put(self, picture: AccessUnit | LumaFrame | SmallPicture) -> None:
        self.append(picture)


class FakeLamp:
    """Implements `firmware.capture.video_source.InfraredLamp`."""

    def __init__(self) -> None:
        self.switched: list[bool] = []

    def set_infrared(self, is_on: bool) -> None:
        self.switched.append(is_on)
