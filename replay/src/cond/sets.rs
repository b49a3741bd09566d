//! Sorted sets that the `in` and `pmatch` operators look into.
//!
//! Owns: words, addresses, path prefixes. No hashing: lookups are the same on
//! every machine and cannot be made slow by chosen input.
//! Must not: parse conditions.

use std::cmp::Ordering;
use std::net::IpAddr;

use ipnet::IpNet;
use regex::bytes::Regex;

use super::required::required;
use super::value::Truth;

/// Sorted distinct byte strings; in lower case where they are looked up without regard to case.
#[derive(Clone, Debug, Default)]
pub(super) struct WordSet(Box<[Box<[u8]>]>);

impl WordSet {
    pub(super) fn new(mut words: Vec<Box<[u8]>>) -> Self {
        words.sort_unstable();
        words.dedup();
        Self(words.into())
    }

    pub(super) fn contains(&self, word: &[u8], fold: bool) -> bool {
        let search = if fold {
            self.0.binary_search_by(|known| compare_folded(known, word))
        } else {
            self.0.binary_search_by(|known| known.as_ref().cmp(word))
        };
        search.is_ok()
    }

    pub(super) fn words(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(AsRef::as_ref)
    }
}

/// Orders a word in lower case against one in any case.
fn compare_folded(lower: &[u8], word: &[u8]) -> Ordering {
    lower
        .iter()
        .copied()
        .cmp(word.iter().map(u8::to_ascii_lowercase))
}

/// Addresses and networks as sorted ranges, one table a family. IPv4-mapped
/// IPv6 addresses count as the IPv4 addresses that they are.
#[derive(Clone, Debug, Default)]
pub(super) struct IpSet {
    v4: Box<[(u32, u32)]>,
    v6: Box<[(u128, u128)]>,
}

impl IpSet {
    pub(super) fn new(nets: &[IpNet]) -> Self {
        let mut v4 = Vec::new();
        let mut v6 = Vec::new();
        for net in nets {
            match net {
                IpNet::V4(net) => v4.push((net.network().to_bits(), net.broadcast().to_bits())),
                IpNet::V6(net) => v6.push((net.network().to_bits(), net.broadcast().to_bits())),
            }
        }
        Self {
            v4: merged(v4),
            v6: merged(v6),
        }
    }

    /// `10.1.2.3`, `2001:db8::1` or a network such as `10.0.0.0/8`.
    pub(super) fn item(text: &str) -> Option<IpNet> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Some(ip.to_canonical().into());
        }
        text.parse::<IpNet>().ok()
    }

    pub(super) fn contains(&self, ip: IpAddr) -> bool {
        match ip.to_canonical() {
            IpAddr::V4(ip) => within(&self.v4, ip.to_bits()),
            IpAddr::V6(ip) => within(&self.v6, ip.to_bits()),
        }
    }
}

/// Sorts ranges and joins those that overlap.
fn merged<T: Ord + Copy>(mut ranges: Vec<(T, T)>) -> Box<[(T, T)]> {
    ranges.sort_unstable();
    let mut out: Vec<(T, T)> = Vec::new();
    for (start, end) in ranges {
        match out.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => out.push((start, end)),
        }
    }
    out.into()
}

fn within<T: Ord + Copy>(ranges: &[(T, T)], value: T) -> bool {
    let after = ranges.partition_point(|(start, _)| *start <= value);
    after
        .checked_sub(1)
        .and_then(|at| ranges.get(at))
        .is_some_and(|(_, end)| value <= *end)
}

/// Paths that cover themselves and everything below them.
#[derive(Clone, Debug, Default)]
pub(super) struct PathSet {
    /// Without a final slash; the root is the empty path.
    exact: WordSet,
    /// Items with wildcards, each matching a path or anything below it.
    patterns: Box<[Regex]>,
}

impl PathSet {
    pub(super) fn new(exact: Vec<Box<[u8]>>, patterns: Vec<Regex>) -> Self {
        Self {
            exact: WordSet::new(exact),
            patterns: patterns.into(),
        }
    }

    /// Literals without any of which nothing is covered; `None` if a pattern has none.
    pub(super) fn needles(&self) -> Option<Vec<Box<[u8]>>> {
        let mut all: Vec<Box<[u8]>> = self.exact.words().map(Into::into).collect();
        for pattern in &self.patterns {
            all.extend(required(pattern.as_str())?);
        }
        Some(all)
    }

    pub(super) fn covers(&self, path: &[u8]) -> bool {
        let whole = path.strip_suffix(b"/").unwrap_or(path);
        self.above(whole)
            || self.exact.contains(whole, false)
            || self.patterns.iter().any(|pattern| pattern.is_match(path))
    }

    pub(super) fn covers_cut(&self, path: &[u8]) -> Truth {
        // Whatever follows, these folders stay above it.
        if self.above(path) {
            return Truth::Yes;
        }
        let may_grow = self.exact.words().any(|known| known.starts_with(path));
        if may_grow || !self.patterns.is_empty() {
            Truth::Maybe
        } else {
            Truth::No
        }
    }

    /// Is a folder above the path in the set?
    fn above(&self, path: &[u8]) -> bool {
        let mut slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        slashes.any(|(end, _)| {
            path.get(..end)
                .is_some_and(|head| self.exact.contains(head, false))
        })
    }
}
