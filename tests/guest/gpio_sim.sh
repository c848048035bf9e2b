#!/bin/sh
# Builds the kernel's GPIO simulator for a kernel of Debian's, which leaves it out:
# gpio_sim.sh KERNEL FOLDER. Needs linux-headers of that kernel, linux-source and gcc.
#
# The simulator and the interrupts it needs become one module. One line is replaced: irq_to_desc()
# isn't there for modules, and generic_handle_irq() does the same in this place.
set -eu
kernel=$1 folder=$2
mkdir -p "$folder"
cd "$folder"
tar -xf "/usr/src/linux-source-$(echo "$kernel" | cut -d. -f1,2).tar.xz" --strip-components=3 \
    --wildcards '*/drivers/gpio/gpio-sim.c'
tar -xf "/usr/src/linux-source-$(echo "$kernel" | cut -d. -f1,2).tar.xz" --strip-components=3 \
    --wildcards '*/kernel/irq/irq_sim.c'
sed -i 's/handle_simple_irq(irq_to_desc(\(.*\)));/generic_handle_irq(\1);/' irq_sim.c
sed -i '/^EXPORT_SYMBOL/d; /^MODULE_/d' irq_sim.c
grep -q 'generic_handle_irq(' irq_sim.c
printf 'obj-m := doorward-gpio-sim.o\ndoorward-gpio-sim-y := gpio-sim.o irq_sim.o\n' >Makefile
headers=/lib/modules/$kernel/build
make -s -C "$headers" M="$PWD" CC="$(sed -n 's/^CONFIG_CC_VERSION_TEXT="\([^ ]*\) .*/\1/p' "$headers/.config" | sed 's/^x86_64-linux-gnu-//')" modules
