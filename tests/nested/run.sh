#!/usr/bin/env bash
# Runs a program on a machine whose KVM works, even where this one's does not:
# QEMU emulates a processor with virtualization (the outer guest), whose kernel
# has kvm_amd, and the program runs there as root, with a real cloud-hypervisor.
#
#   run.sh PROGRAM [ARGUMENT...]
#
# With NESTED_SCRIPT a shell script runs in its place, which finds it as `program`.
#
# Reads: BELLJAR_CLOUD_HYPERVISOR (else PATH), NESTED_FILES (a folder that the
# outer guest sees as /files), NESTED_SECONDS (hard limit, 1200), NESTED_MEMORY
# (MiB, 2048). The outer guest's console goes to standard output; the exit code
# is the program's own, 124 after the limit, 3 if the outer guest never came up,
# 77 with a reason on standard error if something is missing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
missing() { echo "nested: $*" >&2; exit 77; }

hypervisor=${BELLJAR_CLOUD_HYPERVISOR:-$(command -v cloud-hypervisor || true)}
[ -x "$hypervisor" ] || missing "no cloud-hypervisor is found"
for tool in qemu-system-x86_64 busybox cpio dpkg-deb apt-get ldd; do
    command -v "$tool" >/dev/null || missing "$tool is missing"
done

# The kernel package, fetched once: the image's own kernel comes without kvm.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/belljar/nested
kernel=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null |
    sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
[ -n "$kernel" ] || missing "apt knows no linux-image-cloud-amd64"
if ! [ -d "$cache/$kernel" ]; then
    mkdir -p "$cache"
    fetch=$(mktemp -d "$cache/fetch.XXXXXX")
    trap 'rm -rf "$fetch"' EXIT
    chmod 755 "$fetch"
    (cd "$fetch" && apt-get download -q "$kernel" >&2) || missing "the kernel package cannot be fetched"
    dpkg-deb -x "$fetch"/*.deb "$fetch/tree"
    mv -T "$fetch/tree" "$cache/$kernel" 2>/dev/null || true
    rm -rf "$fetch"
    trap - EXIT
fi
tree=$cache/$kernel

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root"/{bin,modules,files,program,proc,sys,dev,tmp,etc,root}
cp "$(command -v busybox)" "$root/bin/busybox"
cp "$here/init.sh" "$root/init"
chmod 755 "$root/init"
echo root:x:0:0:root:/root:/bin/sh >"$root/etc/passwd"
number=10
for name in irqbypass kvm ccp kvm-amd; do
    file=$(find "$tree/lib/modules" -name "$name.ko*" | head -n 1)
    [ -z "$file" ] || cp "$file" "$root/modules/$((number += 1))-${file##*/}"
done

# A program, its libraries, and the loader that it names.
take() {
    cp -L "$1" "$root/bin/$2"
    chmod 755 "$root/bin/$2"
    # All of it goes through an emulated machine's memory.
    strip "$root/bin/$2" 2>/dev/null || true
    { ldd "$1" 2>/dev/null || true; } | grep -o '/[^ )]*' | while read -r library; do
        mkdir -p "$root$(dirname "$library")"
        cp -Lu "$library" "$root$library"
    done
}
take "$hypervisor" cloud-hypervisor
take "$1" program
shift
[ -z "${NESTED_FILES:-}" ] || cp -RL "$NESTED_FILES/." "$root/files/"
[ -z "${NESTED_SCRIPT:-}" ] || cp "$NESTED_SCRIPT" "$root/program/script"
for word in "$@"; do printf '%s\n' "$word"; done >"$root/program/arguments"
env | grep -E '^(BELLJAR_TEST_|NESTED_)' >"$root/program/environment" || true

(cd "$root" && find . | cpio -o -H newc --quiet) | gzip -1 >"$work/initramfs"
console=$work/console
set +e
# Now and then a processor of the emulated one's guest never comes back, and takes
# its own along. The kernel sees that after a minute, and nobody need wait for the
# limit: it panics, and QEMU ends.
timeout --kill-after=5 "${NESTED_SECONDS:-1200}" qemu-system-x86_64 \
    -M q35 -accel tcg,thread=multi -cpu EPYC,+svm,+npt -smp 2 -m "${NESTED_MEMORY:-2048}" \
    -nodefaults -no-reboot -display none -serial stdio \
    -kernel "$(find "$tree/boot" -name 'vmlinuz*')" -initrd "$work/initramfs" \
    -append "console=ttyS0 panic=-1 quiet mitigations=off tsc=unstable no_timer_check watchdog_thresh=30 softlockup_panic=1" \
    </dev/null 2>&1 | sed -u 's/\r//g' | tee "$console"
ended=${PIPESTATUS[0]}
set -e
[ "$ended" != 124 ] || exit 124
code=$(sed -n 's/^nested: the program ended with //p' "$console" | tail -n 1)
exit "${code:-3}"
