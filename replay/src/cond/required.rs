//! What must stand in a text for a regular expression to match it.
//!
//! Owns: a set of literals, one of which is in every match.
//! Must not: be wrong on the narrow side: a set that is too large costs time,
//! one that is too small hides a match.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

/// Shorter literals are met everywhere.
const SHORTEST: usize = 3;
/// More literals are not worth their search.
const MOST: usize = 64;
/// Deepest nesting looked at.
const DEEPEST: usize = 64;

type Literals = Vec<Box<[u8]>>;

/// Literals in lower case, one of which, in whatever case, is in every text that
/// this pattern matches; `None` if there are none worth a search.
pub(super) fn required(pattern: &str) -> Option<Literals> {
    let parsed = ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .dot_matches_new_line(true)
        .build()
        .parse(pattern)
        .ok()?;
    let found = of(&parsed, 0)?;
    (shortest(&found) >= SHORTEST).then_some(found)
}

fn of(hir: &Hir, level: usize) -> Option<Literals> {
    if level > DEEPEST {
        return None;
    }
    if let Some(run) = letters(hir) {
        return Some(vec![run.into()]);
    }
    match hir.kind() {
        HirKind::Capture(capture) => of(&capture.sub, level + 1),
        HirKind::Repetition(repetition) if repetition.min > 0 => of(&repetition.sub, level + 1),
        HirKind::Concat(parts) => best(parts, level),
        HirKind::Alternation(parts) => {
            let mut all = Literals::new();
            for part in parts {
                all.extend(of(part, level + 1)?);
                if all.len() > MOST {
                    return None;
                }
            }
            Some(all)
        }
        _ => None,
    }
}

/// Of what must stand one after the other, what is met least often.
fn best(parts: &[Hir], level: usize) -> Option<Literals> {
    let mut found: Vec<Literals> = Vec::new();
    let mut run = Vec::new();
    for part in parts {
        match letters(part) {
            Some(more) => run.extend(more),
            None => {
                found.push(vec![std::mem::take(&mut run).into()]);
                found.extend(of(part, level + 1));
            }
        }
    }
    found.push(vec![run.into()]);
    found
        .into_iter()
        .filter(|literals| shortest(literals) > 0)
        .max_by_key(|literals| (shortest(literals), std::cmp::Reverse(literals.len())))
}

fn shortest(literals: &[Box<[u8]>]) -> usize {
    literals.iter().map(|one| one.len()).min().unwrap_or(0)
}

/// Plain text, or one letter in either case, in lower case.
fn letters(hir: &Hir) -> Option<Vec<u8>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(literal.0.to_ascii_lowercase()),
        HirKind::Class(Class::Bytes(class)) => {
            let mut bytes = class.ranges().iter().flat_map(|r| r.start()..=r.end());
            let first = bytes.next()?.to_ascii_lowercase();
            let second = bytes.next()?;
            let folded = second.to_ascii_lowercase() == first && bytes.next().is_none();
            folded.then(|| vec![first])
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(pattern: &str) -> Option<Vec<String>> {
        let mut words: Vec<_> = required(pattern)?
            .iter()
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect();
        words.sort();
        Some(words)
    }

    #[test]
    fn what_every_match_has_is_found() {
        for (pattern, expected) in [
            ("^(?:/proc/(?:self|[0-9]+)/mem)$", Some(vec!["/proc/"])),
            ("^(?:(?:curl|wget)x?.*)$", Some(vec!["curl", "wget"])),
            ("(?i)^(?:.*Miner.*)$", Some(vec!["miner"])),
            ("a(?:bcd)?e", None),
            ("(?:abc)+", Some(vec!["abc"])),
            ("(?:abc)*", None),
            ("abc|.*", None),
            (".", None),
            ("[ab]cdef", Some(vec!["cdef"])),
        ] {
            let expected = expected.map(|words| words.iter().map(ToString::to_string).collect());
            assert_eq!(words(pattern), expected, "{pattern}");
        }
    }
}
