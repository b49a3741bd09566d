# Shared by every hook; the image's root folder comes as $1. The variables in
# capitals are written in front of this text by the builder.
set -eu
root=$1
stage() { echo "belljar-stage: $1" >&2; }
# The caller's environment must not leak into what the image's tools decide.
in_root() {
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        http_proxy="${http_proxy-}" https_proxy="${https_proxy-}" no_proxy="${no_proxy-}" \
        chroot "$root" "$@"
}
