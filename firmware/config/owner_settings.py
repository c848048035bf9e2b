"""Owners' settings and preferences beside the doorbell's own file: where both meet.

An owner's value takes the file's place. Masks alone add up: `CameraWiring` has both.
"""

from msgspec.structs import replace

from firmware.config.motion_delay import latest_verdict_s
from firmware.config.polygon import Polygon
from firmware.config.settings import Config, MotionConfig
from firmware.protocol.decisions import FileSettings, MaskPolygon, OwnerSettings, Preferences

LONGEST_PRE_ROLL_MS = 30_000


def file_settings(config: Config, *, ring_max_bytes: int) -> FileSettings:
    """Return what the doorbell's own file says; `ring_max_bytes` is the memory for the pre-roll."""
    motion, clips, sound, panel = config.motion, config.clips, config.sound, config.panel
    memory_s = ring_max_bytes * 8 / config.camera.bitrate_bps
    longest_ms = round((memory_s - latest_verdict_s(motion) - 2) * 1000)
    return FileSettings(
        settings=OwnerSettings(
            revision=1,
            is_opted_in=config.place.is_opted_in,
            has_reminder=False,
            cell=config.place.cell,
            is_motion_on=motion.is_on,
            sensitivity=motion.sensitivity,
            min_size_pmyr=round(motion.min_size_percent * 100),
            min_time_ms=_ms(motion.min_time_s),
            pre_roll_ms=_ms(clips.pre_roll_s),
            post_roll_ms=_ms(clips.post_roll_s),
            longest_ms=_ms(clips.longest_s),
            keep_days=clips.keep_days,
            is_sound_in_live_view=sound.is_in_live_view,
            is_sound_in_clips=sound.is_in_clips,
            is_microphone_off=False,
            gaps_reported=config.health.gaps_reported,
            notice_contact="",
        ),
        preferences=Preferences(
            name="",
            chime_ms=panel.chime_ms,
            volume_percent=sound.volume_percent,
            light_percent=panel.light_percent,
            language=sound.language,
            reply_after_s=round(sound.reply_after_s),
            metering=config.camera.metering,
            backlight=config.camera.backlight,
        ),
        mask_count=len(config.privacy.masks),
        zone_count=len(motion.zones),
        longest_pre_roll_ms=max(0, min(LONGEST_PRE_ROLL_MS, longest_ms)),
        has_sound=sound.card != "none",
        has_light=panel.has_light,
    )


def file_zones(motion: MotionConfig) -> list[MaskPolygon]:
    """Return the file's zones in thousandths."""
    return [[[round(x * 1000), round(y * 1000)] for x, y in zone] for zone in motion.zones]


def polygon_of(corners: MaskPolygon) -> Polygon:
    """Return a polygon as fractions of the picture."""
    return tuple((x / 1000, y / 1000) for x, y in corners)


def with_owners(config: Config, settings: OwnerSettings | None, chosen: Preferences) -> Config:
    """Return the settings in force: the file's, with what owners set in their place."""
    own = settings or OwnerSettings(revision=1)
    motion = replace(
        config.motion,
        **_set(is_on=own.is_motion_on, sensitivity=own.sensitivity),
        **_set(
            min_size_percent=None if own.min_size_pmyr is None else own.min_size_pmyr / 100,
            min_time_s=_s(own.min_time_ms),
        ),
    )
    if own.zones is not None:
        motion = replace(
            motion,
            zones=tuple(polygon_of(zone.corners) for zone in own.zones),
            zone_names=tuple(zone.name for zone in own.zones),
        )
    clips = replace(
        config.clips,
        **_set(
            pre_roll_s=_s(own.pre_roll_ms),
            post_roll_s=_s(own.post_roll_ms),
            longest_s=_s(own.longest_ms),
            keep_days=own.keep_days,
        ),
    )
    sound = replace(
        config.sound,
        **_set(
            is_in_live_view=own.is_sound_in_live_view,
            is_in_clips=own.is_sound_in_clips,
            language=chosen.language,
            reply_after_s=chosen.reply_after_s,
            volume_percent=chosen.volume_percent,
        ),
    )
    return replace(
        config,
        motion=motion,
        clips=clips,
        sound=sound,
        panel=replace(
            config.panel, **_set(light_percent=chosen.light_percent, chime_ms=chosen.chime_ms)
        ),
        camera=replace(config.camera, **_set(metering=chosen.metering, backlight=chosen.backlight)),
        health=replace(config.health, **_set(gaps_reported=own.gaps_reported)),
        place=replace(config.place, **_set(cell=own.cell, is_opted_in=own.is_opted_in)),
    )


def _set(**values: object) -> dict[str, object]:
    """Return the values that somebody chose."""
    return {name: value for name, value in values.items() if value is not None}


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _s(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
