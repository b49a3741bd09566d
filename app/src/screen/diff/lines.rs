//! What the two runs did, aligned, and which lines of it are shown.
//!
//! Owns: pairing, the order, folding and filtering. All text in here is escaped
//! by the comparison already. Must not: style or place anything.

use std::collections::BTreeMap;

use belljar_replay::compare::{Did, Kind, Row, Section};

/// Lines that are laid out at most.
const MAX_LINES: usize = 50_000;
/// So many files of one folder that stand alike are one line.
const MANY: usize = 6;

/// How a thing stands in the two runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// Only the second run did it.
    OnlyB,
    /// Only the first run did it.
    OnlyA,
    /// Both did, each in its own way.
    Changed,
    /// Both did.
    Same,
}

impl State {
    pub(super) const ALL: [State; 4] = [Self::OnlyB, Self::OnlyA, Self::Changed, Self::Same];
}

/// How a thing stands in one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    /// `read, written`.
    pub(super) state: String,
    pub(super) count: u64,
}

impl Cell {
    fn of(row: &Row) -> Self {
        Self {
            state: row.state(),
            count: row.count,
        }
    }
}

/// One thing, as both runs know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) kind: Kind,
    pub(super) what: String,
    pub(super) state: State,
    /// In A, and in B.
    pub(super) cells: [Option<Cell>; 2],
}

impl Pair {
    fn folder(&self) -> Option<&str> {
        if self.kind != Kind::Files {
            return None;
        }
        let (folder, _) = self.what.rsplit_once('/')?;
        (!folder.is_empty()).then_some(folder)
    }

    /// True if every word of the filter stands in it, whatever its case.
    fn fits(&self, words: &[String]) -> bool {
        if words.is_empty() {
            return true;
        }
        let mut all = format!("{} {}", self.kind.title(), self.what);
        for cell in self.cells.iter().flatten() {
            all.push(' ');
            all.push_str(&cell.state);
        }
        let all = all.to_lowercase();
        words.iter().all(|word| all.contains(word.as_str()))
    }
}

/// How many there are of each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) of: [u64; 4],
    /// What had no room in the tables of A or B and is not compared.
    pub(super) beyond: u64,
}

impl Tally {
    pub(super) fn count(&self, state: State) -> u64 {
        self.of.get(state as usize).copied().unwrap_or(0)
    }

    pub(super) fn differs(&self) -> bool {
        self.of.iter().take(3).any(|count| *count > 0)
    }

    pub(super) fn add(&mut self, state: State) {
        if let Some(count) = self.of.get_mut(state as usize) {
            *count += 1;
        }
    }
}

/// What stays the same about a line while others come and go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// The title of a kind.
    Title(Kind),
    /// All of a kind that is the same in both.
    Same(Kind),
    /// Files of one folder that stand alike.
    Folder(State, String),
    /// A pair, by its place.
    Pair(usize),
}

/// One line on the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) key: Key,
    /// Unfolded; `None`: nothing to fold.
    pub(super) fold: Option<bool>,
    /// How many stand behind it.
    pub(super) count: u64,
    /// How deep it stands.
    pub(super) depth: usize,
}

/// Every thing that either run did: by kind, what differs first.
pub(super) fn pairs(a: &Did, b: &Did) -> Vec<Pair> {
    let none = Section::default();
    let mut all = Vec::new();
    for kind in Kind::ALL {
        let side = |did: &'_ Did| did.sections.get(&kind).cloned();
        let (a, b) = (side(a), side(b));
        let (a, b) = (a.as_ref().unwrap_or(&none), b.as_ref().unwrap_or(&none));
        let mut rows: Vec<Pair> = a
            .rows
            .iter()
            .map(|(what, row)| pair(kind, what, Some(row), b.rows.get(what)))
            .collect();
        let new = b
            .rows
            .iter()
            .filter(|(what, _)| !a.rows.contains_key(*what));
        rows.extend(new.map(|(what, row)| pair(kind, what, None, Some(row))));
        rows.sort_by(|one, other| {
            let key = |pair: &Pair| (pair.state, std::cmp::Reverse(weight(pair)));
            key(one)
                .cmp(&key(other))
                // Folder by folder, so that one of them stands in one place.
                .then_with(|| one.folder().cmp(&other.folder()))
                .then_with(|| one.what.cmp(&other.what))
        });
        all.append(&mut rows);
    }
    all
}

fn pair(kind: Kind, what: &str, a: Option<&Row>, b: Option<&Row>) -> Pair {
    let state = match (a, b) {
        (Some(a), Some(b)) if a.stands_like(b) => State::Same,
        (Some(_), Some(_)) => State::Changed,
        (Some(_), None) => State::OnlyA,
        (None, _) => State::OnlyB,
    };
    Pair {
        kind,
        what: what.to_owned(),
        state,
        cells: [a.map(Cell::of), b.map(Cell::of)],
    }
}

/// Findings stand by severity, the worst first.
fn weight(pair: &Pair) -> usize {
    const ORDER: [&str; 5] = ["info", "low", "medium", "high", "critical"];
    let heavy = |cell: &Cell| {
        ORDER
            .iter()
            .rposition(|name| cell.state.starts_with(name))
            .map_or(0, |at| at + 1)
    };
    match pair.kind {
        Kind::Findings => pair.cells.iter().flatten().map(heavy).max().unwrap_or(0),
        _ => 0,
    }
}

/// The numbers of each kind.
pub(super) fn tallies(pairs: &[Pair], a: &Did, b: &Did) -> BTreeMap<Kind, Tally> {
    let mut all: BTreeMap<Kind, Tally> = BTreeMap::new();
    for pair in pairs {
        all.entry(pair.kind).or_default().add(pair.state);
    }
    for section in [a, b] {
        for (kind, section) in &section.sections {
            let beyond = &mut all.entry(*kind).or_default().beyond;
            *beyond = beyond.saturating_add(section.beyond);
        }
    }
    all
}

/// The words of a filter.
fn words(filter: &str) -> Vec<String> {
    filter.split_whitespace().map(str::to_lowercase).collect()
}

/// The lines that are shown.
pub(super) fn lines(
    pairs: &[Pair],
    tallies: &BTreeMap<Kind, Tally>,
    folds: &BTreeMap<Key, bool>,
    filter: &str,
) -> Vec<Line> {
    let words = words(filter);
    let mut out = Out {
        lines: Vec::new(),
        folds,
        filtered: !words.is_empty(),
    };
    for kind in Kind::ALL {
        let of_kind = pairs
            .iter()
            .enumerate()
            .filter(|(_, pair)| pair.kind == kind);
        let fitting: Vec<(usize, &Pair)> = of_kind.filter(|(_, pair)| pair.fits(&words)).collect();
        if fitting.is_empty() {
            continue;
        }
        let differs = tallies.get(&kind).is_some_and(Tally::differs);
        let only = fitting.len() == 1;
        let open = out.head(Key::Title(kind), differs || only, fitting.len(), 0);
        if !open {
            continue;
        }
        let split = fitting.partition_point(|(_, pair)| pair.state != State::Same);
        let (differ, same) = fitting.split_at(split.min(fitting.len()));
        out.differing(differ);
        match same {
            [] => {}
            // One line is no longer than the line that would stand for it.
            [(index, _)] => out.pair(*index, 1),
            _ => {
                if out.head(Key::Same(kind), false, same.len(), 1) {
                    same.iter().for_each(|(index, _)| out.pair(*index, 2));
                }
            }
        }
    }
    out.lines
}

struct Out<'a> {
    lines: Vec<Line>,
    folds: &'a BTreeMap<Key, bool>,
    filtered: bool,
}

impl Out<'_> {
    fn push(&mut self, line: Line) {
        if self.lines.len() < MAX_LINES {
            self.lines.push(line);
        }
    }

    /// A line that folds others; true if they are shown. What is looked for is.
    fn head(&mut self, key: Key, usual: bool, count: usize, depth: usize) -> bool {
        let folded = self.folds.get(&key).copied();
        let open = folded.unwrap_or(usual || self.filtered);
        self.push(Line {
            key,
            fold: Some(open),
            count: count as u64,
            depth,
        });
        open
    }

    fn pair(&mut self, index: usize, depth: usize) {
        self.push(Line {
            key: Key::Pair(index),
            fold: None,
            count: 1,
            depth,
        });
    }

    /// What differs; many files of one folder are one line.
    fn differing(&mut self, pairs: &[(usize, &Pair)]) {
        let mut rest = pairs;
        while let Some((_, first)) = rest.first() {
            let alike = |pair: &Pair| pair.state == first.state && pair.folder() == first.folder();
            let length = match first.folder() {
                Some(_) => rest.iter().take_while(|(_, pair)| alike(pair)).count(),
                None => 1,
            };
            let (group, behind) = rest.split_at(length.max(1));
            rest = behind;
            let folder = first.folder().filter(|_| group.len() >= MANY);
            let Some(folder) = folder else {
                group.iter().for_each(|(index, _)| self.pair(*index, 1));
                continue;
            };
            let key = Key::Folder(first.state, folder.to_owned());
            if self.head(key, false, group.len(), 1) {
                group.iter().for_each(|(index, _)| self.pair(*index, 2));
            }
        }
    }
}

/// The next line that differs, or the one before.
pub(super) fn next(
    lines: &[Line],
    pairs: &[Pair],
    from: Option<usize>,
    forward: bool,
) -> Option<usize> {
    let differs = |line: &Line| match &line.key {
        Key::Pair(index) => pairs.get(*index).is_some_and(|p| p.state != State::Same),
        Key::Folder(..) => line.fold == Some(false),
        Key::Title(_) | Key::Same(_) => false,
    };
    let mut found = lines.iter().enumerate().filter(|(_, line)| differs(line));
    match (from, forward) {
        (None, _) => found.next(),
        (Some(from), true) => found.find(|(at, _)| *at > from),
        (Some(from), false) => found.take_while(|(at, _)| *at < from).last(),
    }
    .map(|(at, _)| at)
}

/// The title of the next kind, or of the one before.
pub(super) fn title(lines: &[Line], from: usize, forward: bool) -> Option<usize> {
    let is_title = |line: &Line| matches!(line.key, Key::Title(_));
    let found = lines.iter().enumerate().filter(|(_, line)| is_title(line));
    let mut places = found.map(|(at, _)| at);
    match forward {
        true => places.find(|at| *at > from),
        false => places.take_while(|at| *at < from).last(),
    }
}
