"""The doorbell's edges on a real kernel: GPIO and a V4L2 camera in a virtual machine.

QEMU without hardware help (any machine can do it) boots Debian's own kernel; its root is this
machine's, read only, so the code and the Python under test are the ones that lie here. Buttons
and outputs are the kernel's GPIO simulator, the camera is its `vivid`. Run by `make soak`.
"""
