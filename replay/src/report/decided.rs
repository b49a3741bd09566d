//! What a person has decided, and how phases stand against their baselines, as text.
//!
//! Owns: these two parts of the table. Must not: leave out a finding because it
//! is suppressed.

use super::page::{Page, count, grouped};
use super::{BaselineReport, DimensionReport, Report};

/// Findings and events shown of each.
const MAX_SHOWN: usize = 12;

pub(super) fn rows(report: &Report, page: &mut Page) {
    suppressed(report, page);
    decisions(report, page);
    let left = report
        .baselines
        .iter()
        .filter(|held| held.drift > 0 || held.learned);
    for (number, held) in left.enumerate() {
        if number == 0 {
            page.title("Against the baseline");
        }
        baseline(held, page);
    }
}

fn suppressed(report: &Report, page: &mut Page) {
    let all: Vec<_> = report
        .findings
        .iter()
        .filter_map(|finding| Some((finding, finding.suppressed.as_ref()?)))
        .collect();
    if all.is_empty() {
        return;
    }
    page.title("Suppressed: found, and not weighed");
    for (finding, why) in all.iter().take(MAX_SHOWN) {
        let severity = finding.severity.name().to_uppercase();
        page.wrap(
            "  ",
            "    ",
            &format!("{severity}  {}  {}", finding.rule, finding.message),
        );
        page.wrap(
            "    ",
            "      ",
            &format!("until {}: {}", why.until, why.reason),
        );
    }
    page.rest(all.len(), MAX_SHOWN, "  ");
}

/// What the file says beyond the findings: changed severities, what is over, what fits nothing.
fn decisions(report: &Report, page: &mut Page) {
    let used = |one: &super::Decided| {
        let mut by = report
            .findings
            .iter()
            .filter_map(|finding| finding.suppressed.as_ref());
        by.any(|why| why == one)
    };
    let lines: Vec<String> = report
        .decided
        .iter()
        .filter_map(|one| {
            let what = match &one.subject {
                Some(subject) => format!("{} about {subject}", one.rule),
                None => one.rule.clone(),
            };
            match (one.expired, one.severity, one.was) {
                (true, _, _) => Some(format!(
                    "{what}: expired on {}, does not hold any more ({})",
                    one.until, one.reason
                )),
                (false, Some(is), Some(was)) => Some(format!(
                    "{what}: {is} instead of {was} until {} ({})",
                    one.until, one.reason
                )),
                (false, None, _) if !used(one) => {
                    Some(format!("{what}: nothing like it was found"))
                }
                _ => None,
            }
        })
        .collect();
    if lines.is_empty() {
        return;
    }
    page.title("Decisions about rules");
    lines.iter().for_each(|line| page.wrap("  ", "    ", line));
}

fn baseline(held: &BaselineReport, page: &mut Page) {
    let left = held.drift / 200;
    let kind = if held.learned { "learned " } else { "" };
    let said = format!(
        "{} against {kind}{}: {left} of 5 dimensions left",
        held.phase, held.baseline
    );
    page.wrap("  ", "    ", &said);
    for row in held.dimensions.iter().filter(|row| row.unexpected > 0) {
        dimension(row, page);
    }
}

fn dimension(row: &DimensionReport, page: &mut Page) {
    let unit = if row.dimension == "time" { " s" } else { "" };
    let mut said = format!(
        "{}: {}{unit}, at most {}{unit} expected",
        row.dimension,
        grouped(row.seen),
        grouped(row.expected)
    );
    if !row.examples.is_empty() {
        let more = row.unexpected.saturating_sub(row.examples.len() as u64);
        said.push_str(&format!("; not expected: {}", row.examples.join(", ")));
        if more > 0 {
            said.push_str(&format!(" and {}", count(more, "more event")));
        }
    }
    let events: Vec<String> = row
        .events
        .iter()
        .take(MAX_SHOWN)
        .map(|seq| format!("#{seq}"))
        .collect();
    page.wrap("    ", "      ", &said);
    page.wrap(
        "      ",
        "        ",
        &format!("events {}", events.join(" ")),
    );
}
