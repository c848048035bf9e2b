"""The reader of QR codes in camera frames. Only importer of zxing-cpp."""

import zxingcpp

from firmware.capture.camera_output import LumaFrame

_QR_CODE = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)


def read_texts(frame: LumaFrame) -> list[str]:
    """Return the texts of all QR codes in the frame (tens of milliseconds: not on the loop)."""
    if frame.width < 16 or frame.height < 16:
        return []
    size = frame.stride * frame.height
    plane = memoryview(frame.data)[:size].cast("B", shape=[frame.height, frame.stride])
    found = zxingcpp.read_barcodes(plane, formats=_QR_CODE)
    return [barcode.text for barcode in found if barcode.valid]
