//! The report as plain text, for people.
//!
//! Owns: order and layout: verdict, reasons, what was touched, where it wanted
//! to go, counts, machine, receipt. Must not: colour anything, or show a text
//! that the report does not hold (those are escaped).

use super::decided;
use super::page::{Page, bytes, count, grouped, seconds, times};
use super::{DecidedBy, FindingReport, InstalledReport, Report, Touches};
use crate::verdict::Verdict;

/// Findings shown per rule, events per finding, rows per list.
const MAX_FINDINGS: usize = 12;
const MAX_EVENTS: usize = 3;
const MAX_ROWS: usize = 40;

impl Report {
    /// A summary at most `width` columns wide, as far as its words allow.
    #[must_use]
    pub fn to_table(&self, width: usize) -> String {
        let mut page = Page::new(width);
        self.head(&mut page);
        self.why(&mut page);
        decided::rows(self, &mut page);
        self.sensitive_rows(&mut page);
        self.refused_rows(&mut page);
        self.allowed_rows(&mut page);
        if let Some(installed) = &self.installed {
            installed_rows(installed, &mut page);
        }
        self.counts(&mut page);
        self.circumstances(&mut page);
        page.text()
    }

    fn head(&self, page: &mut Page) {
        let mut title = self.verdict.to_string();
        // SAFE does not mean that what was to be watched took place.
        if let (Verdict::Safe, Some((name, status))) = (self.verdict, self.failed_phase()) {
            title.push_str(&format!(", but {name} failed ({status})"));
        }
        title.push_str("  ");
        title.push_str(&self.ran.label);
        if !self.ran.command.is_empty() {
            title.push_str(" · ");
            title.push_str(&self.ran.command);
        }
        page.wrap("", "  ", &title);
        let mut facts = vec![format!("ran {}", seconds(self.ran.nanoseconds))];
        facts.push(
            self.ran
                .end
                .clone()
                .unwrap_or_else(|| "no end recorded".to_owned()),
        );
        facts.push(count(self.integrity.events, "event"));
        let missing = self.lost.events.saturating_add(self.lost.missing);
        facts.push(if missing == 0 {
            "nothing lost".to_owned()
        } else {
            format!("{} lost", grouped(missing))
        });
        if self
            .machine
            .as_ref()
            .is_some_and(|machine| machine.degraded)
        {
            facts.push("degraded machine: no security boundary".to_owned());
        }
        page.wrap("", "  ", &facts.join(" · "));
    }

    /// The first phase that ended badly.
    fn failed_phase(&self) -> Option<(&str, &str)> {
        self.phases.iter().find_map(|phase| {
            let status = phase.status.as_deref()?;
            (status != "exit 0").then_some((phase.name.as_str(), status))
        })
    }

    fn why(&self, page: &mut Page) {
        page.title("Why");
        if self.reasons.is_empty() {
            page.wrap(
                "  ",
                "  ",
                "no rule found anything that weighs, and nothing is missing",
            );
        }
        for reason in self
            .reasons
            .iter()
            .filter(|reason| reason.findings.len() != 1)
        {
            page.wrap("  ", "    ", &format!("{}  {}", reason.weighs, reason.text));
        }
        let weighing = |finding: &&FindingReport| finding.suppressed.is_none();
        let mut order: Vec<&FindingReport> = self.findings.iter().filter(weighing).collect();
        order.sort_by(|a, b| {
            b.severity
                .cmp(&a.severity)
                .then(a.rule.cmp(&b.rule))
                .then(a.number.cmp(&b.number))
        });
        let mut shown = 0usize;
        let mut rule = "";
        for finding in order {
            if finding.rule != rule {
                page.rest(shown, MAX_FINDINGS, "    ");
                shown = 0;
                rule = &finding.rule;
                let severity = finding.severity.name().to_uppercase();
                page.wrap(
                    "  ",
                    "    ",
                    &format!("{severity}  {rule}  {}", finding.title),
                );
            }
            shown = shown.saturating_add(1);
            if shown <= MAX_FINDINGS {
                finding_rows(page, finding);
            }
        }
        page.rest(shown, MAX_FINDINGS, "    ");
        if self.findings_beyond > 0 {
            page.wrap(
                "  ",
                "    ",
                &format!("and {} not listed", count(self.findings_beyond, "finding")),
            );
        }
    }

    fn sensitive_rows(&self, page: &mut Page) {
        if self.sensitive.is_empty() {
            return;
        }
        page.title("Sensitive paths");
        let rows = self.sensitive.iter().take(MAX_ROWS).map(|row| {
            let what = if row.decoy {
                format!("decoy {}", row.kind)
            } else {
                row.kind.clone()
            };
            let mut who: Vec<&str> = row
                .by
                .iter()
                .filter_map(|by| by.lineage.first())
                .map(String::as_str)
                .collect();
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
                let name = if row.direct {
                    format!("{} (no lookup)", row.destination)
                } else {
                    row.destination.clone()
                };
                let who = row
                    .who
                    .first()
                    .map_or_else(|| row.programs.join(", "), |line| line.join(" ← "));
                [name, times(row.attempts), row.says.clone(), who]
            });
            page.columns(&rows.collect::<Vec<_>>());
            page.rest(self.refused.len(), MAX_ROWS, "  ");
        }
        if !self.names.refused.is_empty() {
            page.title("Refused names");
            let rows = self.names.refused.iter().take(MAX_ROWS).map(|row| {
                [
                    row.name.clone(),
                    times(row.count),
                    row.says.clone(),
                    row.lineage.join(" ← "),
                ]
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
                [
                    row.destination.clone(),
                    flows,
                    bytes,
                    format!("{} (by {by})", row.programs.join(", ")),
                ]
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
        page.field(
            "processes",
            &format!(
                "{} started, {} executed, {} killed, {} left running",
                grouped(p.started),
                count(p.execs, "program"),
                grouped(p.killed),
                grouped(p.running)
            ),
        );
        page.field(
            "files",
            &format!(
                "{}, {}, {}, {} of {} read",
                count(f.paths, "path"),
                count(f.reads, "read"),
                count(f.writes, "change"),
                grouped(f.decoys_read),
                count(f.decoys, "decoy")
            ),
        );
        page.field(
            "network",
            &format!(
                "{}, {} refused, {} out, {} in, {} asked",
                count(n.flows, "flow"),
                grouped(n.refused),
                bytes(n.sent),
                bytes(n.received),
                count(self.names.asked, "name")
            ),
        );
        if let Some(words) = self.decisions.words() {
            page.field("decisions", &words);
        }
        for phase in &self.phases {
            let took = phase
                .nanoseconds
                .map_or_else(|| "not ended".to_owned(), seconds);
            let status = phase.status.as_deref().unwrap_or("no status");
            page.field(
                &format!("phase {}", phase.name),
                &format!("{took}, {status}: {}", first_line(&phase.command)),
            );
        }
        for reached in &self.limits {
            page.field(
                "limit reached",
                &format!(
                    "{}: {} {}",
                    reached.what,
                    grouped(reached.limit),
                    reached.unit
                ),
            );
        }
        if let Some(copied) = &self.copied {
            let out = count(copied.left_out_total, "path");
            page.field(
                "copied in",
                &format!(
                    "{}, {}; {out} left out",
                    count(copied.files, "file"),
                    bytes(copied.bytes)
                ),
            );
            for left in copied
                .left_out
                .iter()
                .filter(|left| left.why == "credential")
                .take(MAX_FINDINGS)
            {
                page.wrap("    ", "      ", &format!("{} ({})", left.path, left.why));
            }
        }
    }

    fn circumstances(&self, page: &mut Page) {
        page.title("Circumstances");
        match &self.machine {
            None => page.field("machine", "not recorded"),
            Some(m) => {
                let mark = if m.degraded {
                    ", DEGRADED: software emulation is no security boundary"
                } else {
                    ""
                };
                let (cpus, memory) = (count(m.cpus.into(), "cpu"), grouped(m.memory_mib.into()));
                page.field(
                    "machine",
                    &format!(
                        "{} · {}, {cpus}, {memory} MiB{mark}",
                        m.hypervisor, m.accelerator
                    ),
                );
            }
        }
        match &self.enforcement {
            None => page.field("enforcement", "not proved"),
            Some(e) => {
                let held = e.checks.iter().filter(|check| check.held).count() as u64;
                let word = if e.armed { "armed" } else { "NOT ARMED" };
                let total = e.checks.len();
                page.field(
                    "enforcement",
                    &format!(
                        "{word}, {} of {total} checks held, kernel {}",
                        grouped(held),
                        e.kernel
                    ),
                );
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
            why => page.field(
                "trace",
                &format!("CUT: {}", why.as_deref().unwrap_or("unknown")),
            ),
        }
        let receipt = &self.receipt;
        let none = "none";
        page.field(
            "belljar",
            &format!(
                "recorded by {}, judged by {}",
                or(&receipt.recorded_by, none),
                receipt.judged_by
            ),
        );
        page.field("events", receipt.trace.as_deref().unwrap_or(none));
        page.field("rules", &receipt.rules);
        page.field("policy", receipt.policy.as_deref().unwrap_or(none));
        page.field("report", receipt.report.as_deref().unwrap_or(none));
    }
}

/// Package, script, command, and whether it ran.
fn installed_rows(installed: &InstalledReport, page: &mut Page) {
    page.title(if installed.client == "pip" {
        "Build code"
    } else {
        "Lifecycle scripts"
    });
    if !installed.answered {
        let text = "not known: the guest gave no usable answer";
        page.wrap("  ", "    ", text);
    } else if installed.scripts.is_empty() {
        let packages = count(installed.packages, "installed package");
        page.wrap("  ", "    ", &format!("none in {packages}"));
    }
    for row in installed.scripts.iter().take(MAX_ROWS) {
        let version = row.version.as_ref().map(|v| format!("@{v}"));
        let ran = if row.ran { "ran" } else { "did not run" };
        let line = format!(
            "{}{}  {}: {} ({ran})",
            row.package,
            version.unwrap_or_default(),
            row.script,
            row.command
        );
        page.wrap("  ", "    ", &line);
    }
    page.rest(installed.scripts.len(), MAX_ROWS, "  ");
    if installed.more > 0 {
        let more = count(installed.more, "more package");
        page.wrap("  ", "    ", &format!("and {more} with scripts"));
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
    let more = finding
        .count
        .saturating_sub(finding.events.len().min(MAX_EVENTS) as u64);
    if more > 0 {
        page.wrap(
            "      ",
            "        ",
            &format!("and {} more like it", count(more, "event")),
        );
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
    let said = said.map(|(word, n)| {
        if *n == 1 {
            (*word).to_owned()
        } else {
            format!("{word} {}", times(*n))
        }
    });
    said.collect::<Vec<_>>().join(", ")
}

fn decided(by: &[DecidedBy]) -> String {
    by.iter()
        .map(|by| by.by.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

fn or<'a>(text: &'a str, other: &'a str) -> &'a str {
    if text.is_empty() { other } else { text }
}

/// A program on the command line is told by its first line.
fn first_line(command: &str) -> String {
    match command.split_once("\\n") {
        Some((first, _)) => format!("{first} …"),
        None => command.to_owned(),
    }
}
