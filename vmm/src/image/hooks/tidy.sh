# What no payload needs, and what would tell it about the host that built it.
# /tmp stays: mmdebstrap keeps the settings there that bind its apt to this tree
# (without them it would turn to the host's own lists). Packing leaves it out.
stage tidy
rm -rf "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/info/* \
    "$root"/usr/share/locale/* "$root"/usr/share/lintian "$root"/usr/share/doc-base \
    "$root"/usr/local/lib/node_modules/npm/docs "$root"/usr/local/lib/node_modules/npm/man \
    "$root"/var/lib/apt/lists/* "$root"/var/cache/* "$root"/var/log/* \
    "$root"/var/lib/dpkg/*-old "$root"/root/.npm "$root"/root/.cache "$root"/root/.config
# The copies of the host's own files are replaced, modes included.
rm -f "$root/etc/resolv.conf" "$root/etc/hostname" "$root/etc/hosts"
: >"$root/etc/resolv.conf"
echo localhost >"$root/etc/hostname"
printf '127.0.0.1\tlocalhost\n::1\tlocalhost\n' >"$root/etc/hosts"
