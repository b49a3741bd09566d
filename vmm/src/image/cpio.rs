//! The archive format that the kernel unpacks as its first file system ("newc" cpio).
//!
//! Owns: bytes in, bytes out. Must not: touch files or know what is in an image.
//! Written here because a device node has to get into the archive, and making
//! one on disk first would need root.

/// What stands at a path in the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node<'a> {
    /// An empty folder.
    Folder,
    /// A regular file with this content.
    File(&'a [u8]),
    /// A character device.
    Device { major: u32, minor: u32 },
}

/// One member of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member<'a> {
    /// Relative path without a leading slash; its folders come before it.
    pub(super) path: &'a str,
    /// Permission bits.
    pub(super) mode: u32,
    /// Content.
    pub(super) node: Node<'a>,
}

const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;
const S_IFCHR: u32 = 0o020_000;
const TRAILER: &str = "TRAILER!!!";
/// Archives are padded to this, as every other writer does.
const BLOCK: usize = 512;

/// The archive of `members`, in their order. `None`: a name or a content is
/// longer than the format's 32-bit fields can say.
pub(super) fn archive(members: &[Member<'_>]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for (number, member) in members.iter().enumerate() {
        // Numbered from 1: equal inode numbers would mean hard links.
        let ino = u32::try_from(number).ok()?.checked_add(1)?;
        append(&mut out, ino, member)?;
    }
    append(
        &mut out,
        0,
        &Member {
            path: TRAILER,
            mode: 0,
            node: Node::File(&[]),
        },
    )?;
    pad(&mut out, BLOCK);
    Some(out)
}

fn append(out: &mut Vec<u8>, ino: u32, member: &Member<'_>) -> Option<()> {
    let (kind, links, data, rdev): (u32, u32, &[u8], (u32, u32)) = match member.node {
        Node::Folder => (S_IFDIR, 2, &[], (0, 0)),
        Node::File(data) => (S_IFREG, 1, data, (0, 0)),
        Node::Device { major, minor } => (S_IFCHR, 1, &[], (major, minor)),
    };
    let mode = if member.path == TRAILER {
        0
    } else {
        kind | member.mode
    };
    let size = u32::try_from(data.len()).ok()?;
    let name = u32::try_from(member.path.len()).ok()?.checked_add(1)?;
    // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check;
    // owner root and no time, so that equal content is equal bytes.
    let fields = [
        ino, mode, 0, 0, links, 0, size, 0, 0, rdev.0, rdev.1, name, 0,
    ];
    out.extend_from_slice(b"070701");
    for field in fields {
        out.extend_from_slice(format!("{field:08X}").as_bytes());
    }
    out.extend_from_slice(member.path.as_bytes());
    out.push(0);
    pad(out, 4);
    out.extend_from_slice(data);
    pad(out, 4);
    Some(())
}

fn pad(out: &mut Vec<u8>, to: usize) {
    out.resize(out.len().next_multiple_of(to), 0);
}
