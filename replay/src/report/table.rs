//! The report as plain text, for people.
//!
//! Owns: order and layout: verdict, reasons, what was touched, where it wanted
//! to go, counts, machine, receipt. Must not: colour anything, or show a text
//! that the report does not hold (those are escaped).

use unicode_width::UnicodeWidthStr;

use super::{DecidedBy, FindingReport, Report, Touches};

/// No table is narrower.
const MIN_WIDTH: usize = 40;
/// Findings shown per rule, events per finding, rows per list.
const MAX_FINDINGS: usize = 12;
const MAX_EVENTS: usize = 3;
const MAX_ROWS: usize = 40;

impl Report {
    /// A summary at most `width` columns wide, as far as its words allow.
    #[must_use]
    pub fn to_table(&self, width: usize) -> String {
        let mut page = Page { out: String::new(), width: width.max(MIN_WIDTH) };
        self.head(&mut page);
        self.why(&mut page);
        self.sensitive_rows(&mut page);
        self.refused_rows(&mut page);
        self.allowed_rows(&mut page);
        self.counts(&mut page);
        self.circumstances(&mut page);
        page.out
    }

    fn head(&self, page: &mut Page) {
        let mut title = format!("{}  {}", self.verdict, self.ran.label);
        if !self.ran.command.is_empty() {
            title.push_str(" · ");
            title.push_str(&self.ran.command);
        }
        page.wrap("", "  ", &title);
        let mut facts = vec![format!("ran {}", seconds(self.ran.nanoseconds))];
        facts.push(self.ran.end.clone().unwrap_or_else(|| "no end recorded".to_owned()));
        facts.push(count(self.integrity.events, "event"));
        let missing = self.lost.events.saturating_add(self.lost.missing);
        facts.push(if missing == 0 { "nothing lost".to_owned() } else { format!("{} lost", grouped(missing)) });
        if self.machine.as_ref().is_some_and(|machine| machine.degraded) {
            facts.push("degraded machine: no security boundary".to_owned());
        }
        page.wrap("", "  ", &facts.join(" · "));
    }

    fn why(&self, page: &mut Page) {
        page.title("Why");
        if self.reasons.is_empty() {
            page.wrap("  ", "  ", "no rule found anything that weighs, and nothing is missing");
        }
        for reason in self.reasons.iter().filter(|reason| reason.findings.len() != 1) {
            page.wrap("  ", "    ", &format!("{}  {}", reason.weighs, reason.text));
        }
        let mut order: Vec<&FindingReport> = self.findings.iter().collect();
        order.sort_by(|a, b| b.severity.cmp(&a.severity).then(a.rule.cmp(&b.rule)).then(a.number.cmp(&b.number)));
        let mut shown = 0usize;
        let mut rule = "";
        for finding in order {
            if finding.rule != rule {
                page.rest(shown, MAX_FINDINGS, "    ");
                shown = 0;
                rule = &finding.rule;
                let severity = finding.severity.name().to_uppercase();
                page.wrap("  ", "    ", &format!("{severity}  {rule}  {}", finding.title));
            }
            shown = shown.saturating_add(1);
            if shown <= MAX_FINDINGS {
                finding_rows(page, finding);
            }
        }
        page.rest(shown, MAX_FINDINGS, "    ");
        if self.findings_beyond > 0 {
            page.wrap("  ", "    ", &format!("and {} not listed", count(self.findings_beyond, "finding")));
        }
    }

    fn sensitive_rows(&self, page: &mut Page) {
        if self.sensitive.is_empty() {
            return;
        }
        page.title("Sensitive paths");
        let rows = self.sensitive.iter().take(MAX_ROWS).map(|row| {
            let what = if row.decoy { format!("decoy {}", row.kind) } else { row.kind.clone() };
            let mut who: Vec<&str> = row.by.iter().filter_map(|by| by.lineage.first()).map(String::as_str).collect();
            who.dedup();
            [ended(&row.ended), what, row.path.clone(), who.join(", ")]
        });
        page.columns(&rows.collect::<Vec<_>>());
        page.rest(self.sensitive.len(), MAX_ROWS, "  ");
    }

    fn refused_rows(&self, page: &mut Page) {
        if !self.refused.is_empty() {
            page.title("Refused");
            let rows = self.refused.iter().take(MAX_ROWS).map(|row| {
                let name = if row.direct { format!("{} (no lookup)", row.destination) } else { row.destination.clone() };
                let who = row.who.first().map_or_else(|| row.programs.join(", "), |line| line.join(" ← "));
                [name, times(row.attempts), format!("by {}", decided(&row.by)), who]
            });
            page.columns(&rows.collect::<Vec<_>>());
            page.rest(self.refused.len(), MAX_ROWS, "  ");
        }
        if !self.names.refused.is_empty() {
            page.title("Refused names");
            let rows = self.names.refused.iter().take(MAX_ROWS).map(|row| {
                [row.name.clone(), times(row.count), format!("by {}", row.by), row.lineage.join(" ← ")]
            });
            page.columns(&rows.collect::<Vec<_>>());
            page.rest(self.names.refused.len(), MAX_ROWS, "  ");
        }
    }

    fn allowed_rows(&self, page: &mut Page) {
        if !self.allowed.is_empty() {
            page.title("Allowed");
            let rows = self.allowed.iter().take(MAX_ROWS).map(|row| {
                let bytes = format!("{} out, {} in", bytes(row.sent), bytes(row.received));
                let mut flows = count(row.flows, "flow");
                if row.unreached > 0 {
                    flows.push_str(&format!(", {} not reached", grouped(row.unreached)));
                }
                let by = decided(&row.by);
                [row.destination.clone(), flows, bytes, format!("{} (by {by})", row.programs.join(", "))]
            });
            page.columns(&rows.collect::<Vec<_>>());
            page.rest(self.allowed.len(), MAX_ROWS, "  ");
        }
        if !self.undecided.is_empty() {
            page.title("Asked, never decided");
            for destination in self.undecided.iter().take(MAX_ROWS) {
                page.wrap("  ", "    ", destination);
            }
            page.rest(self.undecided.len(), MAX_ROWS, "  ");
        }
    }

    fn counts(&self, page: &mut Page) {
        page.title("Counts");
        let (p, f, n) = (&self.processes, &self.files, &self.network);
        page.field("processes", &format!(
            "{} started, {} executed, {} killed, {} left running",
            grouped(p.started), count(p.execs, "program"), grouped(p.killed), grouped(p.running)
        ));
        page.field("files", &format!(
            "{}, {}, {}, {} of {} read",
            count(f.paths, "path"), count(f.reads, "read"), count(f.writes, "change"),
            grouped(f.decoys_read), count(f.decoys, "decoy")
        ));
        page.field("network", &format!(
            "{}, {} refused, {} out, {} in, {} asked",
            count(n.flows, "flow"), grouped(n.refused), bytes(n.sent), bytes(n.received),
            count(self.names.asked, "name")
        ));
        for phase in &self.phases {
            let took = phase.nanoseconds.map_or_else(|| "not ended".to_owned(), seconds);
            let status = phase.status.as_deref().unwrap_or("no status");
            page.field(&format!("phase {}", phase.name), &format!("{took}, {status}: {}", phase.command));
        }
        if let Some(copied) = &self.copied {
            let out = count(copied.left_out_total, "path");
            page.field("copied in", &format!("{}, {}; {out} left out", count(copied.files, "file"), bytes(copied.bytes)));
            for left in copied.left_out.iter().filter(|left| left.why == "credential").take(MAX_FINDINGS) {
                page.wrap("    ", "      ", &format!("{} ({})", left.path, left.why));
            }
        }
    }

    fn circumstances(&self, page: &mut Page) {
        page.title("Circumstances");
        match &self.machine {
            None => page.field("machine", "not recorded"),
            Some(m) => {
                let mark = if m.degraded { ", DEGRADED: software emulation is no security boundary" } else { "" };
                let (cpus, memory) = (count(m.cpus.into(), "cpu"), grouped(m.memory_mib.into()));
                page.field("machine", &format!("{} · {}, {cpus}, {memory} MiB{mark}", m.hypervisor, m.accelerator));
            }
        }
        match &self.enforcement {
            None => page.field("enforcement", "not proved"),
            Some(e) => {
                let held = e.checks.iter().filter(|check| check.held).count() as u64;
                let word = if e.armed { "armed" } else { "NOT ARMED" };
                let total = e.checks.len();
                page.field("enforcement", &format!("{word}, {} of {total} checks held, kernel {}", grouped(held), e.kernel));
                for check in e.checks.iter().filter(|check| !check.held).take(MAX_ROWS) {
                    page.wrap("    ", "      ", &format!("failed: {}", check.name));
                }
            }
        }
        for (place, lost) in &self.lost.places {
            page.field("lost", &format!("{} in {place}", count(*lost, "event")));
        }
        if !self.ran.redacted.is_empty() {
            page.field("redacted", &self.ran.redacted.join(", "));
        }
        match &self.integrity.why {
            None if self.integrity.complete => page.field("trace", "whole, every hash agrees"),
            why => page.field("trace", &format!("CUT: {}", why.as_deref().unwrap_or("unknown"))),
        }
        let receipt = &self.receipt;
        let none = "none";
        page.field("belljar", &format!("recorded by {}, judged by {}", or(&receipt.recorded_by, none), receipt.judged_by));
        page.field("events", receipt.trace.as_deref().unwrap_or(none));
        page.field("rules", &receipt.rules);
        page.field("policy", receipt.policy.as_deref().unwrap_or(none));
        page.field("report", receipt.report.as_deref().unwrap_or(none));
    }
}

fn finding_rows(page: &mut Page, finding: &FindingReport) {
    page.wrap("    ", "      ", &finding.message);
    if !finding.lineage.is_empty() {
        page.wrap("      by ", "         ", &finding.lineage.join(" ← "));
    }
    for event in finding.events.iter().take(MAX_EVENTS) {
        let line = format!("#{}  {}  {}", event.seq, seconds(event.at), event.summary);
        page.wrap("      ", "        ", &line);
    }
    let more = finding.count.saturating_sub(finding.events.len().min(MAX_EVENTS) as u64);
    if more > 0 {
        page.wrap("      ", "        ", &format!("and {} more like it", count(more, "event")));
    }
}

/// How attempts on a path ended, in words: `read 2, denied 1`.
fn ended(touches: &Touches) -> String {
    let words = [
        ("read", touches.read),
        ("written", touches.written),
        ("created", touches.created),
        ("deleted", touches.deleted),
        ("denied", touches.denied),
        ("failed", touches.failed),
    ];
    let said = words.iter().filter(|(_, n)| *n > 0);
    let said = said.map(|(word, n)| if *n == 1 { (*word).to_owned() } else { format!("{word} {}", times(*n)) });
    said.collect::<Vec<_>>().join(", ")
}

fn decided(by: &[DecidedBy]) -> String {
    by.iter().map(|by| by.by.as_str()).collect::<Vec<_>>().join(", ")
}

fn or<'a>(text: &'a str, other: &'a str) -> &'a str {
    if text.is_empty() { other } else { text }
}

fn times(n: u64) -> String {
    format!("{}x", grouped(n))
}

/// `1,234 flows`, `1 flow`.
fn count(n: u64, what: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(n))
}

/// `1,234,567`.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && digits.len().saturating_sub(at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `7.4 s`, without a float: cut, not rounded.
fn seconds(nanoseconds: u64) -> String {
    let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    format!("{}.{:03} s", grouped(seconds), rest / 1_000_000)
}

/// `1.2 MB`, without a float: cut, not rounded.
fn bytes(n: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match UNITS.iter().find(|(unit, _)| n >= *unit) {
        None => format!("{n} B"),
        Some((unit, name)) => format!("{}.{} {name}", grouped(n / unit), n % unit * 10 / unit),
    }
}

struct Page {
    out: String,
    width: usize,
}

impl Page {
    fn title(&mut self, title: &str) {
        self.out.push('\n');
        self.out.push_str(title);
        self.out.push('\n');
    }

    fn field(&mut self, name: &str, value: &str) {
        let name = format!("  {name:<13}");
        self.wrap(&name, "               ", value);
    }

    /// Words in lines; the first line begins with `first`, the others with `rest`.
    fn wrap(&mut self, first: &str, rest: &str, text: &str) {
        let mut line = first.to_owned();
        let mut empty = true;
        for word in text.split(' ') {
            let needed = line.width().saturating_add(word.width()).saturating_add(usize::from(!empty));
            if needed > self.width && !empty {
                self.line(&line);
                line = rest.to_owned();
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            // A word that fits no line is cut hard: nothing of it is dropped.
            for c in word.chars() {
                if line.width() >= self.width && !line.trim_start().is_empty() {
                    self.line(&line);
                    line = rest.to_owned();
                }
                line.push(c);
            }
            empty = false;
        }
        self.line(&line);
    }

    fn line(&mut self, line: &str) {
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    /// Says how many rows were left out.
    fn rest(&mut self, all: usize, shown: usize, indent: &str) {
        let more = all.saturating_sub(shown);
        if more > 0 {
            self.wrap(indent, indent, &format!("… {} more in the JSON report", grouped(more as u64)));
        }
    }

    /// Rows of four: three columns as wide as they need to be (up to a third of
    /// the page), and the last wrapped behind them, or below where it does not fit.
    fn columns(&mut self, rows: &[[String; 4]]) {
        let most = self.width / 3;
        let widest = |at: usize| {
            let cells = rows.iter().filter_map(|row| row.get(at));
            cells.map(|cell| cell.width()).max().unwrap_or(0).min(most)
        };
        let widths = [widest(0), widest(1), widest(2)];
        let left: usize = widths.iter().map(|width| width.saturating_add(2)).fold(2, usize::saturating_add);
        for [a, b, c, last] in rows {
            let mut line = "  ".to_owned();
            for (cell, width) in [a, b, c].into_iter().zip(widths) {
                line.push_str(cell);
                let pad = width.saturating_sub(cell.width()).saturating_add(2);
                line.extend(std::iter::repeat_n(' ', pad));
            }
            if last.is_empty() {
                self.cells(line.trim_end());
            } else if line.width().saturating_add(last.width()) <= self.width {
                self.line(&format!("{line}{last}"));
            } else if line.width() <= left && left < self.width / 2 {
                self.wrap(&line, &" ".repeat(left), last);
            } else {
                self.cells(line.trim_end());
                self.wrap("      ", "        ", last);
            }
        }
    }

    /// A line of cells: left as it is where it fits, else wrapped.
    fn cells(&mut self, line: &str) {
        if line.width() <= self.width {
            self.line(line);
        } else {
            let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
            self.wrap("  ", "    ", &words);
        }
    }
}

