//! Sigma's strings: wildcards, escapes, modifiers.
//!
//! Owns: [`Pattern`] and how it is held against a field.
//! Must not: know which field.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::term::Term;
use crate::cond::quoted;

/// A string with wildcards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Piece>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Char(char),
    /// `?`
    One,
    /// `*`
    Any,
}

impl Pattern {
    /// `\*`, `\?` and `\\` stand for the signs themselves; any other backslash too.
    pub(super) fn parse(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let piece = match c {
                '\\' => match chars.next_if(|next| matches!(next, '*' | '?' | '\\')) {
                    Some(next) => Piece::Char(next),
                    None => Piece::Char('\\'),
                },
                '*' => Piece::Any,
                '?' => Piece::One,
                c => Piece::Char(c),
            };
            pieces.push(piece);
        }
        Self(pieces)
    }

    /// A string in which nothing is a wildcard.
    pub(super) fn plain(text: &str) -> Self {
        Self(text.chars().map(Piece::Char).collect())
    }

    pub(super) fn surrounded(mut self, before: bool, behind: bool) -> Self {
        if before && self.0.first() != Some(&Piece::Any) {
            self.0.insert(0, Piece::Any);
        }
        if behind && self.0.last() != Some(&Piece::Any) {
            self.0.push(Piece::Any);
        }
        self
    }

    /// The text, if there is no wildcard in it.
    pub(super) fn literal(&self) -> Option<String> {
        literal(&self.0)
    }

    /// The pattern held against a field. Without regard to case, unless `cased`.
    pub(super) fn against(&self, field: &str, cased: bool) -> Term {
        if let Some(text) = self.literal() {
            return compare(field, "=", &text, cased);
        }
        let inner = match self.0.as_slice() {
            [Piece::Any] => return Term::test(format!("{field} exists")),
            [Piece::Any, inner @ .., Piece::Any] => Some(("contains", inner)),
            [inner @ .., Piece::Any] => Some(("startswith", inner)),
            [Piece::Any, inner @ ..] => Some(("endswith", inner)),
            _ => None,
        };
        if let Some((op, text)) = inner.and_then(|(op, inner)| Some((op, literal(inner)?))) {
            return compare(field, op, &text, cased);
        }
        let op = if cased { "glob" } else { "iglob" };
        Term::test(format!("{field} {op} {}", quoted(&self.glob())))
    }

    fn glob(&self) -> String {
        let mut out = String::new();
        let mut before = None;
        for piece in &self.0 {
            match piece {
                Piece::Any if before == Some(&Piece::Any) => {}
                Piece::Any => out.push('*'),
                Piece::One => out.push('?'),
                Piece::Char(c) => {
                    if "*?[]{}\\!,".contains(*c) {
                        out.push('\\');
                    }
                    out.push(*c);
                }
            }
            before = Some(piece);
        }
        out
    }

    /// Held against a text that is known now, without regard to case.
    pub(super) fn matches(&self, text: &str) -> bool {
        fn same(a: char, b: char) -> bool {
            a.eq_ignore_ascii_case(&b)
        }
        let text: Vec<char> = text.chars().collect();
        // Which beginnings of the text the pieces so far match.
        let mut ends = vec![false; text.len() + 1];
        if let Some(first) = ends.first_mut() {
            *first = true;
        }
        for piece in &self.0 {
            let mut next = vec![false; text.len() + 1];
            let mut open = false;
            for (at, slot) in next.iter_mut().enumerate() {
                let here = ends.get(at).copied().unwrap_or(false);
                let before = at.checked_sub(1);
                let came = before.and_then(|at| ends.get(at)).copied().unwrap_or(false);
                let c = before.and_then(|at| text.get(at)).copied();
                open |= here;
                *slot = match piece {
                    Piece::Any => open,
                    Piece::One => came,
                    Piece::Char(wanted) => came && c.is_some_and(|c| same(c, *wanted)),
                };
            }
            ends = next;
        }
        ends.last().copied().unwrap_or(false)
    }
}

fn literal(pieces: &[Piece]) -> Option<String> {
    let char = |piece: &Piece| match piece {
        Piece::Char(c) => Some(*c),
        Piece::One | Piece::Any => None,
    };
    pieces.iter().map(char).collect()
}

fn compare(field: &str, op: &str, text: &str, cased: bool) -> Term {
    Term::test(if cased {
        format!("{field} {op} {}", quoted(text))
    } else {
        format!(
            "tolower({field}) {op} {}",
            quoted(&text.to_ascii_lowercase())
        )
    })
}

/// The base64 of a text, and where `offset`, what is the same of it wherever it begins.
pub(super) fn base64_of(bytes: &[u8], offset: bool) -> Vec<String> {
    if !offset {
        return vec![STANDARD.encode(bytes)];
    }
    // What the bytes before and behind have a part in is cut off.
    const BEGINS: [usize; 3] = [0, 2, 3];
    const ENDS: [usize; 3] = [0, 3, 2];
    (0..3)
        .filter_map(|shift| {
            let padded = [vec![b' '; shift], bytes.to_vec()].concat();
            let text = STANDARD.encode(&padded);
            let begin = *BEGINS.get(shift)?;
            let end = text.len() - ENDS.get(padded.len() % 3)?;
            text.get(begin..end).map(str::to_owned)
        })
        .filter(|text| !text.is_empty())
        .collect()
}

/// A text with each dash that stands before a switch as any of those that
/// programs take for one.
pub(super) fn dashes(text: &str) -> Vec<String> {
    const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];
    let begins = |at: usize| {
        let before = text.get(..at).and_then(|head| head.chars().next_back());
        before.is_none_or(|c| !c.is_alphanumeric())
    };
    let found = text.char_indices();
    let Some((at, dash)) = found
        .into_iter()
        .find(|(at, c)| (*c == '-' || *c == '/') && begins(*at))
    else {
        return vec![text.to_owned()];
    };
    let (head, tail) = text.split_at(at);
    let tail = tail.get(dash.len_utf8()..).unwrap_or_default();
    let each = DASHES.iter().map(|dash| format!("{head}{dash}{tail}"));
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        Pattern::parse(text).against("f.x", false).text()
    }

    #[test]
    fn patterns_become_comparisons() {
        assert_eq!(of("Ab"), "tolower(f.x) = \"ab\"");
        assert_eq!(of("*Ab*"), "tolower(f.x) contains \"ab\"");
        assert_eq!(of("/a/*"), "tolower(f.x) startswith \"/a/\"");
        assert_eq!(of("*.sh"), "tolower(f.x) endswith \".sh\"");
        assert_eq!(of("*"), "f.x exists");
        assert_eq!(of("/a/*/b"), "f.x iglob \"/a/*/b\"");
        assert_eq!(of(r"a\*b"), "tolower(f.x) = \"a*b\"");
        assert_eq!(of(r"a\\b"), r#"tolower(f.x) = "a\\b""#);
        assert_eq!(of(r"a\b"), r#"tolower(f.x) = "a\\b""#);
        assert_eq!(of("a?[b]"), r#"f.x iglob "a?\\[b\\]""#);
    }

    #[test]
    fn known_texts_are_matched_now() {
        for (pattern, text, is) in [
            ("EXECVE", "execve", true),
            ("exec*", "EXECVE", true),
            ("*", "", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*b*", "abc", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(
                Pattern::parse(pattern).matches(text),
                is,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn base64_is_found_wherever_it_begins() {
        let needles = base64_of(b"/bin/sh -c", true);
        assert_eq!(needles.len(), 3);
        for before in ["", "a", "ab", "abc", "abcd"] {
            for behind in ["", "x", "xy", "xyz"] {
                let text = STANDARD.encode(format!("{before}/bin/sh -c{behind}"));
                assert!(needles.iter().any(|needle| text.contains(needle)), "{text}");
            }
        }
    }
}
