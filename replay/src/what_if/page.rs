//! What another policy would have decided, as plain text.
//!
//! Owns: layout. Must not: show a text that is not escaped already.

use super::{Ended, Row, Said, WhatIf};
use crate::report::page::{Page, count, grouped};

impl WhatIf {
    /// For people, at most `width` columns wide as far as its words allow.
    #[must_use]
    pub fn to_table(&self, width: usize) -> String {
        let mut page = Page::new(width);
        let verdict = match (
            self.would_deny,
            self.would_ask,
            self.would_allow + self.otherwise,
        ) {
            (1.., ..) => "would have denied what the run allowed",
            (0, 1.., _) => "would have asked about what the run allowed",
            (0, 0, 1..) => "differs only in what the run did not allow",
            (0, 0, 0) => "says what the run's own policy said",
        };
        page.wrap("", "  ", &format!("policy {} {verdict}", self.policy));
        page.title("Counts");
        page.field("asked about", &count(self.asked, "question"));
        for (name, number) in [
            ("same", self.same),
            ("would deny", self.would_deny),
            ("would ask", self.would_ask),
            ("would allow", self.would_allow),
            ("otherwise", self.otherwise),
        ] {
            page.field(name, &grouped(number));
        }
        if self.failed > 0 {
            let calls = count(self.failed, "call");
            page.field("not asked", &format!("{calls} that failed by themselves"));
        }
        self.rows(&mut page);
        if !self.limits.is_empty() {
            page.title("What the trace cannot tell");
            for limit in &self.limits {
                page.wrap("  ", "    ", limit);
            }
        }
        page.title("Policies");
        page.field("asked", &self.digest);
        page.field("recorded", self.recorded.as_deref().unwrap_or("none"));
        page.text()
    }

    fn rows(&self, page: &mut Page) {
        if self.rows.is_empty() {
            return;
        }
        page.title("Differences");
        for row in &self.rows {
            rows_of(row, page);
        }
        if self.beyond > 0 {
            let more = count(self.beyond, "more question");
            page.wrap("  ", "    ", &format!("and {more} that found no room here"));
        }
    }
}

fn rows_of(row: &Row, page: &mut Page) {
    let times = if row.count > 1 {
        format!(" ({}x)", grouped(row.count))
    } else {
        String::new()
    };
    let who = if row.program == "-" {
        "host"
    } else {
        &row.program
    };
    page.wrap(
        "  ",
        "    ",
        &format!("#{}  {who}: {} {}{times}", row.seq, row.op, row.object),
    );
    let ended = match (row.ended, row.recorded.action) {
        (Ended::Allowed, "allow") | (Ended::Refused, "deny" | "kill") => "",
        (Ended::Allowed, _) => ", and was allowed",
        (Ended::Refused, _) => ", and was refused",
        (Ended::Open, _) => ", and was never decided",
    };
    page.wrap(
        "      recorded ",
        "        ",
        &format!("{}{ended}", said(&row.recorded)),
    );
    let why = row.now.reason.as_ref().map(|why| format!(": {why}"));
    page.wrap(
        "      now      ",
        "        ",
        &format!("{}{}", said(&row.now), why.unwrap_or_default()),
    );
}

fn said(said: &Said) -> String {
    format!("{} by {}", said.action, said.by)
}
