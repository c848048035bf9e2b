"""The program that encodes one uploaded picture anew. The only importer of Pillow in the relay.

    python -I -B -m relay.feed.picture_child

It is started for each picture, reads it from standard input and writes a JPEG without metadata to
standard output; or it ends with code 2, and writes the name of a PictureFault. Once the decoders
are loaded it takes the right to open anything from itself, and has bounded memory and time: what
a stranger sent is read by native code of others here, and nowhere else.
"""

import io
import os
import sys
import warnings
from typing import Final

from PIL import (
    Image,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,  # noqa: F401 - by it Pillow reads which way is up, when it can open nothing
    UnidentifiedImageError,
    WebPImagePlugin,
)

from relay.verify.process_rights import give_up_rights

MAX_BYTES: Final = 8 * 1024 * 1024
MAX_PIXELS: Final = 64_000_000
"""What phones' cameras make; a picture of more is opened by nobody's eyes."""
MIN_SIDE_PX: Final = 32
MAX_SIDE_PX: Final = 1600
MAX_JPEG_BYTES: Final = 1_000_000
QUALITIES: Final = (82, 70, 55, 40, 25)
FORMATS: Final = (
    JpegImagePlugin.JpegImageFile.format,
    PngImagePlugin.PngImageFile.format,
    WebPImagePlugin.WebPImageFile.format,
)
REFUSED_CODE: Final = 2
MEMORY_BYTES: Final = 1024 * 1024 * 1024
PROCESSOR_S: Final = 15


class PictureFault(Exception):
    """A picture is refused; the text is one of format, small, pixels, unreadable."""


def main() -> int:
    """Encode the one picture and return the exit code."""
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    Image.preinit()  # else it looks for its own modules at the first picture
    give_up_rights(memory_bytes=MEMORY_BYTES, processor_s=PROCESSOR_S)
    try:
        jpeg = encode_anew(data)
    except PictureFault as fault:
        sys.stdout.write(str(fault))
        return REFUSED_CODE
    sys.stdout.buffer.write(jpeg)
    return 0


def encode_anew(data: bytes) -> bytes:
    """Return the first frame of a JPEG, PNG or WebP, upright, as a JPEG of at most 1600 pixels.

    Nothing but the picture stays: no EXIF, XMP, comment, colour profile or bytes after it.
    Raises PictureFault.
    """
    warnings.simplefilter("ignore")  # of metadata that is dropped anyway
    Image.MAX_IMAGE_PIXELS = None  # checked below, before anything is decoded
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_size(image)
            return _encoded(_drawn(image))
    except UnidentifiedImageError as error:
        raise PictureFault("format") from error
    # Pillow's decoders raise nearly anything for broken files.
    except (OSError, ValueError, SyntaxError, TypeError, ArithmeticError, LookupError) as error:
        raise PictureFault("unreadable") from error
    except MemoryError as error:
        raise PictureFault("pixels") from error


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if min(width, height) < MIN_SIDE_PX:
        raise PictureFault("small")
    if width * height > MAX_PIXELS:
        raise PictureFault("pixels")


def _drawn(image: Image.Image) -> Image.Image:
    """Return the picture in RGB, upright, within the largest size, without any metadata."""
    if isinstance(image, JpegImagePlugin.JpegImageFile) and image.mode == "RGB":
        image.draft("RGB", (MAX_SIDE_PX, MAX_SIDE_PX))  # decodes a large one smaller at once
    image.load()
    turned = ImageOps.exif_transpose(image)
    turned.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
    if turned.mode not in ("RGB", "L", "CMYK"):
        turned = _on_white(turned)
    plain = Image.new("RGB", turned.size)
    plain.paste(turned.convert("RGB"))
    return plain


def _on_white(image: Image.Image) -> Image.Image:
    """Return a picture with transparent parts on white, one of 16 bits in 8."""
    if image.mode.startswith("I"):
        return image.point(lambda value: value / 256).convert("L")
    whole = image.convert("RGBA")
    ground = Image.new("RGBA", whole.size, "white")
    return Image.alpha_composite(ground, whole)


def _encoded(image: Image.Image) -> bytes:
    """Return the JPEG, coarser where it would be too large."""
    for quality in QUALITIES:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality, optimize=True)
        if file.tell() <= MAX_JPEG_BYTES:
            return file.getvalue()
    raise PictureFault("unreadable")  # no picture of this size is so large


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # the decoders' destructors have nothing left to do
