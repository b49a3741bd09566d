# The kernel's package is fetched and checked by the image's own apt, but never
# installed: its maintainer scripts want an initramfs and a boot loader.
stage kernel
real=$(in_root apt-cache depends "$KERNEL" | sed -n 's/^ *Depends: \(linux-image-[0-9][a-z0-9.+-]*\)$/\1/p' | head -n 1)
[ -n "$real" ] || { echo "package $KERNEL names no kernel image" >&2; exit 1; }
in_root sh -c 'cd /belljar && apt-get -o APT::Sandbox::User=root download "$1"' sh "$real"
mv "$root"/belljar/linux-image-*.deb "$root/belljar/kernel.deb"
