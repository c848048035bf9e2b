"""Reads and writes the files of a FAT32 partition without mounting it.

Begin with `volume.Volume`: the root folder and folders in it, long names, both copies of the file
allocation table. `boot_sector` reads the layout, `table` follows and makes chains of clusters,
`names` does long and short names, `folder` the entries of one folder.

Source: Microsoft, "FAT32 File System Specification" (2000); what Linux and mtools do beyond it is
named where it counts.
"""
