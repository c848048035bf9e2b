"""Commands of `doorward-firmware` on a doorbell that stands or runs, each in its own process."""
