"""Pictures for libcamera's `virtual` camera: a box that moves, noise, a wall to hide."""

from pathlib import Path

from PIL import Image, ImageDraw

WIDTH, HEIGHT = 1280, 720
PICTURES = 20
WALL = 400
"""The left 400 columns are bright red; the mask of the tests hides them."""
NOISE = 280


def write_scene(folder: Path, *, is_dark: bool = False) -> None:
    """Write the JPEGs and the camera's description; `folder` is then mounted where it belongs.

    `is_dark`: all but a bright strip on the left lies in the shade, as before a street.
    """
    frames = folder / "frames"
    frames.mkdir()
    for number in range(PICTURES):
        (_shade() if is_dark else _draw(number)).save(frames / f"{number}.jpg", quality=92)
    (folder / "virtual.yaml").write_text(
        '"Scene":\n'
        "  supported_formats:\n"
        f"  - {{width: {WIDTH}, height: {HEIGHT}, frame_rates: [30, 60]}}\n"
        f"  - {{width: {WIDTH // 2}, height: {HEIGHT // 2}, frame_rates: [30, 60]}}\n"
        f'  frames: {{path: "{frames}/"}}\n'
        '  model: "Scene"\n'
    )


def _shade() -> Image.Image:
    image = Image.new("RGB", (WIDTH, HEIGHT), (32, 32, 32))
    ImageDraw.Draw(image).rectangle((0, 0, WALL - 1, HEIGHT), fill=(250, 250, 250))
    return image


def _draw(number: int) -> Image.Image:
    image = Image.new("RGB", (WIDTH, HEIGHT), (96, 112, 128))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, WALL - 1, HEIGHT), fill=(230, 40, 40))
    left = WALL + 40 + number * 35
    # As restless as leaves in the wind: it needs all the bits that an encoder may spend.
    image.paste(Image.effect_noise((NOISE, NOISE), 90), (WIDTH - NOISE, 0))
    draw.rectangle((left, 300, left + 90, 420), fill=(240, 240, 60))
    draw.text((WALL + 40, 40), str(number), fill=(255, 255, 255), font_size=120)
    return image
