//! Words for flags and descriptors.

use belljar_event::Descriptor;

/// Flags of an open beyond its access mode. `O_TMPFILE` and `O_SYNC` contain
/// another flag's bit, so they come first and take it along.
const OPEN_FLAGS: &[(u32, &str)] = &[
    (0o20_200_000, "O_TMPFILE"),
    (0o4_010_000, "O_SYNC"),
    (0o100, "O_CREAT"),
    (0o200, "O_EXCL"),
    (0o400, "O_NOCTTY"),
    (0o1000, "O_TRUNC"),
    (0o2000, "O_APPEND"),
    (0o4000, "O_NONBLOCK"),
    (0o10_000, "O_DSYNC"),
    (0o40_000, "O_DIRECT"),
    (0o100_000, "O_LARGEFILE"),
    (0o200_000, "O_DIRECTORY"),
    (0o400_000, "O_NOFOLLOW"),
    (0o1_000_000, "O_NOATIME"),
    (0o2_000_000, "O_CLOEXEC"),
    (0o10_000_000, "O_PATH"),
];

/// `O_WRONLY|O_CREAT|O_TRUNC`.
pub(crate) fn open_flags(flags: u32) -> String {
    let mut out = match flags & 3 {
        0 => "O_RDONLY",
        1 => "O_WRONLY",
        2 => "O_RDWR",
        _ => "O_ACCMODE",
    }
    .to_owned();
    let mut left = flags & !3;
    for (bits, name) in OPEN_FLAGS {
        if left & bits == *bits {
            out.push('|');
            out.push_str(name);
            left &= !bits;
        }
    }
    if left != 0 {
        out.push_str(&format!("|{left:#o}"));
    }
    out
}

/// What `proc.stdin.type` and its kin say.
pub(crate) fn descriptor(descriptor: Descriptor) -> &'static str {
    match descriptor {
        Descriptor::Closed => "closed",
        Descriptor::File => "file",
        Descriptor::Device => "device",
        Descriptor::Pipe => "pipe",
        Descriptor::UnixSocket => "unix",
        Descriptor::NetSocket => "net",
        Descriptor::Other => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::open_flags;

    #[test]
    fn flags_have_names() {
        assert_eq!(open_flags(0), "O_RDONLY");
        assert_eq!(open_flags(0o1101), "O_WRONLY|O_CREAT|O_TRUNC");
        assert_eq!(open_flags(0o20_200_002), "O_RDWR|O_TMPFILE");
        assert_eq!(open_flags(0x8000_0000), "O_RDONLY|0o20000000000");
    }
}
