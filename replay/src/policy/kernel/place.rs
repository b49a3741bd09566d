//! Objects as the kernel tells them apart.
//!
//! Owns: whether an object is at a place, and whether two places may meet.

use belljar_event::wire::Place;

/// The object at this resolved path is there.
pub(super) fn concerns(place: &Place, path: &[u8]) -> bool {
    match place {
        Place::Path(ruled) => ruled == path,
        Place::Below(folder) => is_below(path, folder),
        Place::Name(name) => name_of(path) == name.as_slice(),
    }
}

/// Some object may be at a place of both lists; an empty list is every object.
pub(super) fn may_meet(some: &[Place], others: &[Place]) -> bool {
    some.is_empty()
        || others.is_empty()
        || some
            .iter()
            .any(|one| others.iter().any(|other| meet(one, other)))
}

fn meet(one: &Place, other: &Place) -> bool {
    match (one, other) {
        (Place::Path(path), place) | (place, Place::Path(path)) => concerns(place, path),
        (Place::Below(one), Place::Below(other)) => is_below(one, other) || is_below(other, one),
        (Place::Name(one), Place::Name(other)) => one == other,
        (Place::Below(_), Place::Name(_)) | (Place::Name(_), Place::Below(_)) => true,
    }
}

/// The folder at `path` stands above what the place names.
pub(super) fn is_above(path: &[u8], place: &Place) -> bool {
    let (Place::Path(ruled) | Place::Below(ruled)) = place else {
        return false;
    };
    path != b"/" && path != ruled.as_slice() && is_below(ruled, path)
}

/// The folder itself, or something below it.
fn is_below(path: &[u8], folder: &[u8]) -> bool {
    folder == b"/"
        || path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.first() == Some(&b'/'))
}

fn name_of(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// What the agent takes for a path: absolute, of plain components.
pub(super) fn is_path(bytes: &[u8]) -> bool {
    bytes
        .strip_prefix(b"/")
        .is_some_and(|rest| rest.is_empty() || rest.split(|byte| *byte == b'/').all(is_name))
}

/// One component of a path.
pub(super) fn is_name(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes.len() <= 255
        && bytes != b"."
        && bytes != b".."
        && !bytes.contains(&b'/')
        && !bytes.contains(&0)
}
