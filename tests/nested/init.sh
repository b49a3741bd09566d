#!/bin/busybox sh
# The outer guest's first process: modules, file systems, then the program.
/bin/busybox mkdir -p /sbin /usr/bin /usr/sbin
/bin/busybox --install -s
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 tmp /tmp
mount -t tmpfs -o mode=1777 shm /dev/shm
for module in /modules/*; do insmod "$module" || echo "nested: $module is refused"; done
# The hypervisor runs as nobody.
chmod 666 /dev/kvm || echo "nested: there is no kvm"
ip link set lo up
chmod 755 / /bin /files
while read -r line; do export "$line"; done </program/environment
set --
while read -r word; do set -- "$@" "$word"; done </program/arguments
# Quiet: what KVM says of an emulated processor is not what is tested.
dmesg -n 1
if [ -e /program/script ]; then
    sh /program/script "$@"
else
    program "$@"
fi
echo "nested: the program ended with $?"
poweroff -f
