//! One destination and one flow.
//!
//! Owns: their counts and lists, bounded. Must not: know the tables around them.

use std::net::IpAddr;
use std::sync::Arc;

use belljar_event::{Action, Target, Text};

use super::network::Seen;
use super::process::Lineage;
use super::rows::{DestinationRow, DestinationState};

/// Programs, and processes, named per destination.
const MAX_WHO: usize = 16;
/// Policy lines named per destination.
const MAX_BY: usize = 16;

/// Where a flow goes and who wants it.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) target: Arc<Target>,
    pub(crate) destination: usize,
    pub(crate) process: Option<u64>,
    pub(crate) action: Option<Action>,
    pub(crate) by: Arc<str>,
    pub(crate) dialled: Option<IpAddr>,
    pub(crate) range: bool,
    pub(super) open: bool,
}

/// One destination.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    pub(crate) name: Arc<str>,
    pub(crate) port: u16,
    pub(crate) direct: bool,
    pub(crate) asked: u64,
    pub(crate) flows: u64,
    pub(crate) refused: u64,
    pub(crate) failed: u64,
    pub(crate) ranged: u64,
    pub(crate) open: u64,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) by: Arc<str>,
    /// Who refused, and how often.
    pub(crate) refused_by: Arc<Vec<(Arc<str>, u64)>>,
    /// Who allowed, and how often.
    pub(crate) allowed_by: Arc<Vec<(Arc<str>, u64)>>,
    pub(crate) programs: Arc<Vec<Text>>,
    /// Who went there, each as it was then.
    pub(crate) who: Arc<Vec<(u64, Lineage)>>,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
}

impl Destination {
    pub(super) fn new(name: Arc<str>, port: u16, direct: bool, seq: u64) -> Self {
        Self {
            name,
            port,
            direct,
            asked: 0,
            flows: 0,
            refused: 0,
            failed: 0,
            ranged: 0,
            open: 0,
            sent: 0,
            received: 0,
            by: "".into(),
            refused_by: Arc::default(),
            allowed_by: Arc::default(),
            programs: Arc::default(),
            who: Arc::default(),
            first_seq: seq,
            last_seq: seq,
        }
    }

    pub(crate) fn state(&self) -> DestinationState {
        match self {
            Self { ranged: 1.., .. } => DestinationState::Range,
            Self { refused: 1.., .. } => DestinationState::Denied,
            Self { failed: 1.., .. } => DestinationState::Failed,
            Self { open: 1.., .. } => DestinationState::Open,
            Self { flows: 1.., .. } => DestinationState::Allowed,
            _ => DestinationState::Asked,
        }
    }

    pub(crate) fn row(&self) -> DestinationRow {
        DestinationRow {
            name: Arc::clone(&self.name),
            port: self.port,
            direct: self.direct,
            flows: self.flows,
            refused: self.refused,
            open: self.open,
            sent: self.sent,
            received: self.received,
            by: Arc::clone(&self.by),
            programs: self.programs.to_vec(),
            state: self.state(),
            first_seq: self.first_seq,
            last_seq: self.last_seq,
        }
    }

    pub(super) fn touched(&mut self, seen: &Seen<'_>) {
        self.last_seq = seen.seq;
        if let Some(process) = seen.process
            && self.who.len() < MAX_WHO
            && !self.who.iter().any(|(known, _)| *known == process)
        {
            Arc::make_mut(&mut self.who).push((process, (seen.lineage)()));
        }
        if let Some(program) = seen.program
            && self.programs.len() < MAX_WHO
            && !self.programs.contains(program)
        {
            Arc::make_mut(&mut self.programs).push(program.clone());
        }
    }

    pub(super) fn refused(&mut self, by: &Arc<str>) {
        self.refused = self.refused.saturating_add(1);
        self.by = Arc::clone(by);
        tally(&mut self.refused_by, by);
    }
}

pub(super) fn tally(list: &mut Arc<Vec<(Arc<str>, u64)>>, by: &Arc<str>) {
    let list = Arc::make_mut(list);
    if let Some((_, count)) = list.iter_mut().find(|(known, _)| known == by) {
        *count = count.saturating_add(1);
    } else if list.len() < MAX_BY {
        list.push((Arc::clone(by), 1));
    }
}

/// Text from a hostile peer, at most `max` bytes of it.
pub(super) fn capped(text: &str, max: usize) -> Arc<str> {
    if text.len() <= max {
        return text.into();
    }
    let end = (0..=max)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default()).into()
}
