//! What asking both policies amounts to.
//!
//! Owns: counts, folding of equal differences, what the trace cannot tell.
//! Must not: ask anything.

use belljar_recorder::Integrity;

use super::asking::{Asked, Asking};
use super::{Ended, Row, WhatIf};

/// Rows kept; what is beyond is counted.
const MAX_ROWS: usize = 1000;

/// Counted on the way.
#[derive(Default)]
pub(super) struct Sums {
    pub(super) asked: u64,
    pub(super) same: u64,
    pub(super) would_deny: u64,
    pub(super) would_ask: u64,
    pub(super) would_allow: u64,
    pub(super) otherwise: u64,
    pub(super) failed: u64,
    pub(super) beyond: u64,
    pub(super) lost: u64,
    pub(super) undecided: u64,
}

impl Asking {
    /// Files what both said, and what came of it.
    pub(super) fn ended(&mut self, asked: Asked, ended: Ended) {
        let sums = &mut self.sums;
        let one = |count: &mut u64| *count = count.saturating_add(1);
        one(&mut sums.asked);
        if ended == Ended::Open {
            one(&mut sums.undecided);
        }
        let same = asked.recorded.action == asked.now.action;
        match (asked.now.action, ended) {
            _ if same => one(&mut sums.same),
            ("deny" | "kill", Ended::Allowed) => one(&mut sums.would_deny),
            ("ask", Ended::Allowed) => one(&mut sums.would_ask),
            ("allow", Ended::Refused) => one(&mut sums.would_allow),
            _ => one(&mut sums.otherwise),
        }
        if same && !self.all {
            return;
        }
        let key = (
            asked.op,
            asked.object,
            asked.program,
            asked.recorded,
            ended,
            asked.now,
        );
        if let Some((_, count)) = self.folded.get_mut(&key) {
            one(count);
        } else if self.folded.len() < MAX_ROWS {
            self.folded.insert(key, (asked.seq, 1));
        } else {
            one(&mut sums.beyond);
        }
    }

    pub(super) fn finish(mut self, integrity: &Integrity) -> WhatIf {
        let mut open: Vec<_> = std::mem::take(&mut self.open).into_values().collect();
        open.sort_by_key(|(asked, _)| asked.seq);
        for (asked, _) in open {
            self.ended(asked, Ended::Open);
        }
        let limits = self.limits(integrity);
        let row = |((op, object, program, recorded, ended, now), (seq, count))| Row {
            seq,
            count,
            op,
            object,
            program,
            recorded,
            ended,
            now,
        };
        let mut rows: Vec<Row> = std::mem::take(&mut self.folded)
            .into_iter()
            .map(row)
            .collect();
        rows.sort_by_key(|row| row.seq);
        let sums = self.sums;
        WhatIf {
            policy: self.other.name().to_owned(),
            digest: crate::hex(&self.other.digest()),
            recorded: self.recorded.map(|policy| crate::hex(&policy.digest())),
            asked: sums.asked,
            same: sums.same,
            would_deny: sums.would_deny,
            would_ask: sums.would_ask,
            would_allow: sums.would_allow,
            otherwise: sums.otherwise,
            failed: sums.failed,
            rows,
            beyond: sums.beyond,
            limits,
        }
    }

    fn limits(&self, integrity: &Integrity) -> Vec<String> {
        let sums = &self.sums;
        let told = [
            (
                self.recorded.is_none(),
                "the trace has no policy that can be loaded: nothing was compared".to_owned(),
            ),
            (
                sums.would_allow > 0,
                "what would have followed had refused calls been allowed is not in the trace"
                    .to_owned(),
            ),
            (
                sums.would_deny > 0,
                "what came after a call that would have been denied might not have happened"
                    .to_owned(),
            ),
            (
                sums.undecided > 0,
                format!(
                    "{} were asked about and never decided before the end",
                    sums.undecided
                ),
            ),
            (sums.lost > 0, format!("{} events were lost", sums.lost)),
            (
                !integrity.is_complete(),
                "the trace is cut: only its beginning was asked about".to_owned(),
            ),
        ];
        let told = told.into_iter().filter(|(is, _)| *is);
        told.map(|(_, text)| text).collect()
    }
}
