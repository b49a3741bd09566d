//! Which path an event is about.
//!
//! Owns: joining a relative path with its base, lexical normalisation, and
//! the choice between what the payload said and what the kernel resolved.
//! Must not: touch a file system. `..` after a link is therefore a guess;
//! where the kernel resolved the path, its answer stands instead.

use std::borrow::Cow;

use belljar_event::{Event, Fact, Text};

/// A longer path is cut: no kernel accepts one.
pub(crate) const MAX_PATH: usize = 4096;

/// The paths of an event.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paths<'a> {
    /// The first one.
    pub(crate) first: Option<Place<'a>>,
    /// The second one, of rename and link.
    pub(crate) second: Option<Place<'a>>,
}

/// One path, as far as it is known.
#[derive(Clone, Debug)]
pub(crate) struct Place<'a> {
    /// Absolute and normalised where possible.
    pub(crate) bytes: Cow<'a, [u8]>,
    /// False where only the beginning is known.
    pub(crate) whole: bool,
}

/// `renameat2` that swaps two names.
const RENAME_EXCHANGE: u64 = 2;

/// True if both names go on to exist, each with the other's file.
pub(crate) fn exchanges(event: &Event) -> bool {
    let Fact::Change(change) = &event.fact else {
        return false;
    };
    change.call.name() == "renameat2" && change.value & RENAME_EXCHANGE != 0
}

impl<'a> Paths<'a> {
    /// The paths of this event. Unreadable ones are `None`.
    pub(crate) fn of(event: &'a Event) -> Self {
        match &event.fact {
            Fact::Open(open) => Self::one(open.file.as_ref(), &open.path, open.base.as_ref()),
            Fact::Exec(exec) => Self::one(exec.file.as_ref(), &exec.path, exec.cwd.as_ref()),
            Fact::Look(look) => Self::one(None, &look.path, look.base.as_ref()),
            Fact::Change(change) => {
                let resolved = |file: &'a Option<Text>| {
                    let known = file.as_ref().filter(|file| !file.bytes().is_empty());
                    known.and_then(|file| place(file, None))
                };
                let second = resolved(&change.other_file).or_else(|| {
                    let other = change.other.as_ref()?;
                    place(other, change.other_base.as_ref())
                });
                // A symlink's first argument is only the text that the link will hold.
                let first = match change.call.0 {
                    88 | 266 => None,
                    _ => {
                        resolved(&change.file).or_else(|| place(&change.path, change.base.as_ref()))
                    }
                };
                Self { first, second }
            }
            Fact::Held(held) => Self {
                first: held.path.as_ref().and_then(|path| place(path, None)),
                second: held.other.as_ref().and_then(|path| place(path, None)),
            },
            Fact::Denied(denied) => Self {
                first: denied.path.as_ref().and_then(|path| place(path, None)),
                second: None,
            },
            Fact::Guard(guard) => Self {
                first: guard.path.as_ref().and_then(|path| place(path, None)),
                second: None,
            },
            _ => Self::default(),
        }
    }

    /// Old and new name, of a rename that succeeded or a new name for a file.
    pub(crate) fn renamed(&self, event: &Event) -> Option<(&[u8], &[u8])> {
        let Fact::Change(change) = &event.fact else {
            return None;
        };
        let call = change.call.name();
        let renames = call.starts_with("rename") || call.starts_with("link");
        let done = renames && event.outcome.succeeded();
        let (from, to) = done.then_some((self.first.as_ref()?, self.second.as_ref()?))?;
        (from.whole && to.whole).then_some((&*from.bytes, &*to.bytes))
    }

    fn one(file: Option<&'a Text>, path: &'a Text, base: Option<&'a Text>) -> Self {
        let known = file.filter(|file| !file.bytes().is_empty());
        let first = known
            .and_then(|file| place(file, None))
            .or_else(|| place(path, base));
        Self {
            first,
            second: None,
        }
    }
}

fn place<'a>(path: &'a Text, base: Option<&'a Text>) -> Option<Place<'a>> {
    let raw = path.bytes();
    if matches!(path, Text::Unreadable) || raw.is_empty() && base.is_none() {
        return None;
    }
    let mut whole = path.is_whole();
    let joined = match base {
        Some(base) if raw.first() != Some(&b'/') => {
            if !base.is_whole() {
                // What lies between the end of the base and the path is unknown.
                whole = false;
            }
            let mut joined = Vec::with_capacity(base.bytes().len() + 1 + raw.len());
            joined.extend_from_slice(base.bytes());
            joined.push(b'/');
            joined.extend_from_slice(raw);
            Cow::Owned(joined)
        }
        _ => Cow::Borrowed(raw),
    };
    let mut bytes = normalise(joined);
    if bytes.len() > MAX_PATH {
        whole = false;
        bytes = Cow::Owned(bytes.get(..MAX_PATH).unwrap_or_default().to_vec());
    }
    Some(Place { bytes, whole })
}

/// Takes out `//`, `/./`, `/../` and a trailing slash. A relative path keeps its leading `..`.
pub(crate) fn normalise(path: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if is_normal(&path) {
        return path;
    }
    let absolute = path.first() == Some(&b'/');
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.last().is_some_and(|last| *last != b"..") => {
                parts.pop();
            }
            b".." if absolute => {}
            part => parts.push(part),
        }
    }
    let mut out = Vec::with_capacity(path.len());
    if absolute {
        out.push(b'/');
    }
    out.extend_from_slice(&parts.join(&b'/'));
    if out.is_empty() {
        out.push(b'.');
    }
    Cow::Owned(out)
}

fn is_normal(path: &[u8]) -> bool {
    if path.len() > 1 && path.last() == Some(&b'/') {
        return false;
    }
    // Only a slash followed by a slash or a dot needs a closer look.
    // Without an early end, so that many bytes are looked at in one step.
    let pairs = path.iter().zip(path.get(1..).unwrap_or_default());
    let suspect = pairs.fold(false, |suspect, (one, next)| {
        suspect | ((*one == b'/') & ((*next == b'/') | (*next == b'.')))
    });
    if !suspect && path.first() != Some(&b'.') {
        return true;
    }
    let body = path.strip_prefix(b"/").unwrap_or(path);
    body.is_empty()
        || body
            .split(|byte| *byte == b'/')
            .all(|part| !matches!(part, b"" | b"." | b".."))
}

/// What follows the last slash.
pub(crate) fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

/// What stands before the last slash; `/` for a file in the root.
pub(crate) fn folder(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(0) => b"/",
        Some(at) => path.get(..at).unwrap_or_default(),
        None => b"",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(path: &str) -> String {
        String::from_utf8(normalise(path.as_bytes().into()).into_owned()).unwrap()
    }

    #[test]
    fn dots_and_slashes_go() {
        for (raw, clean) in [
            ("/a/b", "/a/b"),
            ("/", "/"),
            ("//", "/"),
            ("/a//b/./c/../d/", "/a/b/d"),
            ("/../../etc/shadow", "/etc/shadow"),
            ("../x", "../x"),
            ("a/../../x", "../x"),
            ("./x", "x"),
            ("a/..", "."),
            ("/home/u/.ssh/id", "/home/u/.ssh/id"),
            ("/a/...", "/a/..."),
            ("..", ".."),
        ] {
            assert_eq!(normal(raw), clean, "{raw}");
            assert_eq!(normal(clean), clean, "{clean} must stay");
        }
    }

    #[test]
    fn normal_paths_are_borrowed() {
        assert!(matches!(
            normalise(b"/home/u/.ssh/id"[..].into()),
            Cow::Borrowed(_)
        ));
    }

    #[test]
    fn names_and_folders() {
        assert_eq!(
            (base_name(b"/a/b"), folder(b"/a/b")),
            (&b"b"[..], &b"/a"[..])
        );
        assert_eq!((base_name(b"/b"), folder(b"/b")), (&b"b"[..], &b"/"[..]));
        assert_eq!((base_name(b"b"), folder(b"b")), (&b"b"[..], &b""[..]));
    }
}
