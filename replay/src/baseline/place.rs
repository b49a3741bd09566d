//! Where files are expected: a few plain forms, since every write is asked.

use memchr::memmem::Finder;

/// A form of path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `**`: everywhere.
    Anywhere,
    /// `/tmp/**`, `/tmp/pip-**`: begins so.
    Begins(Box<[u8]>),
    /// `~/.cache/**`: begins so in any home.
    HomeBegins(Box<[u8]>),
    /// `**/node_modules/**`: has it somewhere.
    Has(Part),
    /// `**/package.json`: ends so.
    Ends(Box<[u8]>),
    /// `~/.wget-hsts`: this file in any home.
    Home(Box<[u8]>),
    /// This very path.
    Exact(Box<[u8]>),
}

impl Place {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (head, open) = match text.strip_suffix("**") {
            Some(head) => (head, true),
            None => (text, false),
        };
        let (body, floating) = match head.strip_prefix("**") {
            Some(body) => (body, true),
            None => (head, false),
        };
        if body.contains('*') {
            return Err(format!(
                "`{text}`: write /folder/**, ~/folder/**, **/folder/**, **/name or a path"
            ));
        }
        let bytes = |text: &str| text.as_bytes().into();
        Ok(match (floating, open, body.strip_prefix("~/")) {
            (_, true, _) if body.is_empty() => Self::Anywhere,
            (true, true, _) => Self::Has(Part::new(body.as_bytes())),
            (true, false, _) => Self::Ends(bytes(body)),
            (false, true, Some(rest)) => Self::HomeBegins(bytes(rest)),
            (false, false, Some(rest)) => Self::Home(bytes(rest)),
            (false, true, None) => Self::Begins(bytes(body)),
            (false, false, None) => Self::Exact(bytes(body)),
        })
    }

    pub(super) fn covers(&self, path: &[u8]) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Begins(head) => path.starts_with(head),
            Self::HomeBegins(head) => in_home(path).is_some_and(|rest| rest.starts_with(head)),
            Self::Has(part) => part.0.find(path).is_some(),
            Self::Ends(tail) => path.ends_with(tail),
            Self::Home(exact) => in_home(path) == Some(exact),
            Self::Exact(exact) => path == exact.as_ref(),
        }
    }
}

/// Bytes that are searched for; making a searcher takes longer than a search.
#[derive(Clone, Debug)]
pub(super) struct Part(Box<Finder<'static>>);

impl Part {
    fn new(bytes: &[u8]) -> Self {
        Self(Box::new(Finder::new(bytes).into_owned()))
    }
}

impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        self.0.needle() == other.0.needle()
    }
}

impl Eq for Part {}

/// The part of a path below somebody's home.
pub(super) fn in_home(path: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = path.strip_prefix(b"/root/") {
        return Some(rest);
    }
    let rest = path.strip_prefix(b"/home/")?;
    let end = memchr::memchr(b'/', rest)?;
    rest.get(end.checked_add(1)?..)
}
