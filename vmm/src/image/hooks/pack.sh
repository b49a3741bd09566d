# Made inside, where the files have their true owners even when the builder is
# an ordinary user. What is mounted or left here by the build is not taken.
# Times are kept: Python would distrust its compiled files without them. Not
# compressed: under emulation a guest's first node starts several times faster.
stage pack
mkfs.erofs --quiet --preserve-mtime -x-1 \
    --exclude-path=belljar --exclude-path=etc/apt/apt.conf.d/00mmdebstrap \
    --exclude-path=etc/dpkg/dpkg.cfg.d/99mmdebstrap \
    --exclude-regex='^(proc|sys|dev|run|tmp)/.*' \
    "$root/belljar/root.erofs" "$root"
