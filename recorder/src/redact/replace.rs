//! The second pass: placeholders instead of secrets.
//!
//! Owns: which placeholder each secret has, and putting it in. Must not: leave
//! a secret because it stands in an odd place: what cannot be replaced piece by
//! piece goes as a whole.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use belljar_event::{Event, Text};

use super::find::{Finder, Secret, below};
use super::{Kind, Patterns, RedactError};
use crate::Start;
use crate::visit::{self, Role, Visit};

/// How often a text is gone over: a placeholder may make a secret with what stands beside it.
const ROUNDS: usize = 4;
/// What a text is replaced by that holds secrets even then.
const ALL: &str = "<redacted>";

/// A secret and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// What was hidden.
    pub secret: Vec<u8>,
    /// Its sort.
    pub kind: Kind,
    /// What stands there now.
    pub placeholder: String,
    /// How often.
    pub count: u64,
}

/// Hides what a [`Finder`] found.
#[derive(Debug)]
pub struct Redactor {
    patterns: Patterns,
    search: Option<AhoCorasick>,
    replaced: Vec<Replaced>,
    index: HashMap<Vec<u8>, usize>,
    /// Every proper beginning of a secret of at least [`MIN_TAIL`] bytes.
    beginnings: HashSet<Vec<u8>>,
    longest: usize,
    addresses: BTreeMap<IpAddr, IpAddr>,
    /// The output, rewritten, in its pieces; taken from the front.
    chunks: std::vec::IntoIter<Vec<u8>>,
}

/// A shorter piece of a secret at the end of a cut text is no secret.
const MIN_TAIL: usize = 3;
/// Longest beginning that is looked for there.
const MAX_TAIL: usize = 512;

impl Redactor {
    pub(super) fn new(finder: Finder) -> Result<Self, RedactError> {
        let Finder {
            patterns,
            secrets,
            addresses,
            chunks,
            ..
        } = finder;
        let search = build(&secrets)?;
        let clean = |text: &str| search.as_ref().is_none_or(|search| !search.is_match(text));
        let addresses = stand_ins(&patterns, addresses.into_iter(), &clean);
        let mut names: HashMap<Vec<u8>, String> = HashMap::new();
        let mut replaced = Vec::new();
        let mut beginnings = HashSet::new();
        for Secret { bytes, kind } in &secrets {
            let number = names.len().saturating_add(1);
            // Host names are one name however they are written.
            let same = match kind {
                Kind::Name => bytes.to_ascii_lowercase(),
                _ => bytes.to_vec(),
            };
            let placeholder = match names.get(&same) {
                Some(known) => known.clone(),
                None => placeholder(number, *kind, bytes, &addresses, &clean)?,
            };
            names.insert(same, placeholder.clone());
            let most = bytes.len().min(MAX_TAIL);
            for end in MIN_TAIL..most {
                beginnings.insert(bytes.get(..end).unwrap_or_default().to_vec());
            }
            replaced.push(Replaced {
                secret: bytes.to_vec(),
                kind: *kind,
                placeholder,
                count: 0,
            });
        }
        if !clean(ALL) {
            return Err(RedactError::TooCommon(ALL.into()));
        }
        let index = replaced.iter().enumerate();
        let index = index.map(|(at, row)| (row.secret.clone(), at)).collect();
        let mut redactor = Self {
            patterns,
            search,
            longest: replaced
                .iter()
                .map(|row| row.secret.len())
                .max()
                .unwrap_or(0),
            replaced,
            index,
            beginnings,
            addresses,
            chunks: Vec::new().into_iter(),
        };
        redactor.chunks = redactor.stream(chunks).into_iter();
        Ok(redactor)
    }

    /// Changes the start record, and lists the patterns in it.
    pub fn start(&mut self, start: &mut Start) {
        start.redacted.extend(self.patterns.listed().to_vec());
        visit::visit_start(start, self);
    }

    /// Changes an event. Events must come in the order in which the finder saw them.
    pub fn event(&mut self, event: &mut Event) {
        visit::visit_fact(&mut event.fact, self);
    }

    /// What was hidden so far, the most frequent first.
    #[must_use]
    pub fn replaced(&self) -> Vec<Replaced> {
        let mut rows: Vec<_> = self
            .replaced
            .iter()
            .filter(|row| row.count > 0)
            .cloned()
            .collect();
        rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.secret.cmp(&b.secret)));
        rows
    }

    /// Every literal that must not be left anywhere.
    pub fn secrets(&self) -> impl Iterator<Item = &[u8]> {
        self.replaced.iter().map(|row| row.secret.as_slice())
    }

    /// A secret that is still in this event, if there is one.
    #[must_use]
    pub fn survivor(&self, event: &Event) -> Option<String> {
        let mut proof = Proof {
            redactor: self,
            found: None,
        };
        visit::visit_fact(&mut event.fact.clone(), &mut proof);
        proof.found
    }

    /// As [`Self::survivor`], for the start record.
    #[must_use]
    pub fn survivor_in_start(&self, start: &Start) -> Option<String> {
        let mut proof = Proof {
            redactor: self,
            found: None,
        };
        visit::visit_start(&mut start.clone(), &mut proof);
        proof.found
    }

    fn hit(&mut self, number: usize) -> Vec<u8> {
        match self.replaced.get_mut(number) {
            Some(row) => {
                row.count = row.count.saturating_add(1);
                row.placeholder.clone().into_bytes()
            }
            None => ALL.as_bytes().to_vec(),
        }
    }

    /// The text without secrets; `None` where it has none.
    fn clean(&mut self, text: &[u8]) -> Option<Vec<u8>> {
        let search = self.search.clone()?;
        let mut now = text.to_vec();
        let mut changed = false;
        for _ in 0..ROUNDS {
            let hits: Vec<_> = search
                .find_iter(&now)
                .map(|hit| (hit.range(), hit.pattern()))
                .collect();
            if hits.is_empty() {
                return changed.then_some(now);
            }
            changed = true;
            let mut next = Vec::with_capacity(now.len());
            let mut from = 0;
            for (range, pattern) in hits {
                next.extend_from_slice(now.get(from..range.start).unwrap_or_default());
                next.extend(self.hit(pattern.as_usize()));
                from = range.end;
            }
            next.extend_from_slice(now.get(from..).unwrap_or_default());
            now = next;
        }
        Some(if search.is_match(&now) {
            ALL.into()
        } else {
            now
        })
    }

    /// The beginning of a secret at the end of a text that goes on unseen.
    fn tail(&self, text: &[u8]) -> Option<usize> {
        let longest = self.longest.min(MAX_TAIL).min(text.len());
        (MIN_TAIL..=longest)
            .rev()
            .map(|length| text.len().saturating_sub(length))
            .find(|from| {
                self.beginnings
                    .contains(text.get(*from..).unwrap_or_default())
            })
    }

    fn text_in_place(&mut self, text: &mut Text) {
        match text {
            Text::Unreadable => {}
            Text::Whole(bytes) => {
                if let Some(clean) = self.clean(bytes) {
                    *bytes = clean.into();
                }
            }
            Text::Cut { bytes, length } => {
                let hidden = length.saturating_sub(bytes.len() as u64);
                let mut clean = self.clean(bytes).unwrap_or_else(|| bytes.to_vec());
                if let Some(from) = self.tail(&clean) {
                    clean.truncate(from);
                    clean.extend_from_slice(ALL.as_bytes());
                }
                *length = hidden.saturating_add(clean.len() as u64);
                *bytes = clean.into();
            }
        }
    }

    /// The payload's output: a secret may begin in one piece and end in another.
    fn stream(&mut self, mut chunks: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let Some(search) = self.search.clone() else {
            return chunks;
        };
        for _ in 0..ROUNDS {
            let all = chunks.concat();
            let hits: Vec<_> = search
                .find_iter(&all)
                .map(|hit| (hit.range(), hit.pattern()))
                .collect();
            if hits.is_empty() {
                return chunks;
            }
            let mut hits = hits.into_iter().peekable();
            let mut base = 0usize;
            for chunk in &mut chunks {
                let end = base.saturating_add(chunk.len());
                let mut next = Vec::with_capacity(chunk.len());
                let mut from = base;
                while let Some((range, pattern)) = hits.peek().cloned() {
                    if range.start >= end {
                        break;
                    }
                    if range.start >= base {
                        next.extend_from_slice(all.get(from..range.start).unwrap_or_default());
                        next.extend(self.hit(pattern.as_usize()));
                    }
                    from = range.end.min(end).max(from);
                    if range.end > end {
                        break;
                    }
                    hits.next();
                }
                next.extend_from_slice(all.get(from..end).unwrap_or_default());
                *chunk = next;
                base = end;
            }
        }
        if search.is_match(&chunks.concat()) {
            let count = chunks.len().saturating_sub(1);
            let rest = std::iter::repeat_n(Vec::new(), count);
            return std::iter::once(ALL.into()).chain(rest).collect();
        }
        chunks
    }
}

impl Visit for Redactor {
    fn text(&mut self, _: Role, text: &mut Text) {
        self.text_in_place(text);
    }

    fn string(&mut self, _: Role, text: &mut String) {
        if let Some(clean) = self.clean(text.as_bytes()) {
            *text = String::from_utf8_lossy(&clean).into_owned();
        }
    }

    fn placed(&mut self, path: &mut Text, base: Option<&mut Text>) {
        let joined = base
            .as_deref()
            .and_then(|base| below(&self.patterns, path, base));
        if let Some((secret, rest, _)) = joined
            && let Some(number) = self.index.get(&secret).copied()
        {
            let whole = path.is_whole();
            let bytes = [self.hit(number), rest].concat();
            let length = (bytes.len() as u64).saturating_add(1);
            let bytes = bytes.into_boxed_slice();
            *path = if whole {
                Text::Whole(bytes)
            } else {
                Text::Cut { bytes, length }
            };
        }
        self.text_in_place(path);
        if let Some(base) = base {
            self.text_in_place(base);
        }
    }

    fn output(&mut self, bytes: &mut Box<[u8]>) {
        *bytes = match self.chunks.next() {
            Some(chunk) => chunk.into(),
            // More output than the finder saw: it cannot have been looked through.
            None => ALL.as_bytes().into(),
        };
    }

    fn address(&mut self, ip: &mut IpAddr) {
        let Some(stand_in) = self.addresses.get(ip).copied() else {
            return;
        };
        if let Some(number) = self.index.get(ip.to_string().as_bytes()).copied() {
            self.hit(number);
        }
        *ip = stand_in;
    }
}

/// Looks for secrets that are left.
struct Proof<'a> {
    redactor: &'a Redactor,
    found: Option<String>,
}

impl Proof<'_> {
    fn look(&mut self, bytes: &[u8]) {
        let hit = self
            .redactor
            .search
            .as_ref()
            .and_then(|search| search.find(bytes));
        if let Some(hit) = hit {
            let secret = bytes.get(hit.range()).unwrap_or_default();
            self.found = Some(String::from_utf8_lossy(secret).into_owned());
        }
    }
}

impl Visit for Proof<'_> {
    fn text(&mut self, _: Role, text: &mut Text) {
        self.look(text.bytes());
    }

    fn string(&mut self, _: Role, text: &mut String) {
        self.look(text.as_bytes());
    }

    fn placed(&mut self, path: &mut Text, base: Option<&mut Text>) {
        self.look(path.bytes());
        if let Some(base) = base {
            self.look(base.bytes());
        }
    }

    fn output(&mut self, bytes: &mut Box<[u8]>) {
        self.look(bytes);
    }

    fn address(&mut self, ip: &mut IpAddr) {
        if self.redactor.patterns.holds(*ip) {
            self.found = Some(ip.to_string());
        }
    }
}

fn build(secrets: &[Secret]) -> Result<Option<AhoCorasick>, RedactError> {
    if secrets.is_empty() {
        return Ok(None);
    }
    let built = AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostLongest)
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .build(secrets.iter().map(|secret| &secret.bytes));
    built
        .map(Some)
        .map_err(|_| RedactError::TooMany(secrets.len()))
}

fn placeholder(
    number: usize,
    kind: Kind,
    bytes: &[u8],
    addresses: &BTreeMap<IpAddr, IpAddr>,
    clean: &dyn Fn(&str) -> bool,
) -> Result<String, RedactError> {
    let stand_in = || {
        let ip = std::str::from_utf8(bytes).ok()?.parse::<IpAddr>().ok()?;
        Some(addresses.get(&ip)?.to_string())
    };
    let first = match kind {
        Kind::Path if bytes.starts_with(b"/") => Some(format!("/<redacted-{number}>")),
        Kind::Path | Kind::Text => None,
        Kind::Home => Some(format!("/home/<redacted-{number}>")),
        Kind::Name => Some(format!("redacted-{number}.invalid")),
        Kind::Address => stand_in(),
    };
    let forms = [first, Some(format!("<redacted-{number}>"))];
    let good = forms.into_iter().flatten().find(|form| clean(form));
    good.ok_or_else(|| RedactError::TooCommon(String::from_utf8_lossy(bytes).into_owned()))
}

/// Other addresses, which belong to nobody: 240.0.0.0/8 and 2001:db8::/32.
fn stand_ins(
    patterns: &Patterns,
    addresses: impl Iterator<Item = IpAddr>,
    clean: &dyn Fn(&str) -> bool,
) -> BTreeMap<IpAddr, IpAddr> {
    let mut number = 0u32;
    let mut map = BTreeMap::new();
    for ip in addresses {
        // A network that holds the stand-ins too leaves none that is clean.
        for _ in 0..1000 {
            number = number.saturating_add(1) & 0x00ff_ffff;
            let stand_in: IpAddr = match ip {
                IpAddr::V4(_) => Ipv4Addr::from_bits(240 << 24 | number).into(),
                IpAddr::V6(_) => Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(number)).into(),
            };
            if !patterns.holds(stand_in) && clean(&stand_in.to_string()) {
                map.insert(ip, stand_in);
                break;
            }
        }
        let nowhere: IpAddr = match ip {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        map.entry(ip).or_insert(nowhere);
    }
    map
}
