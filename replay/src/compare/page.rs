//! A difference as plain text.
//!
//! Owns: layout. Must not: show a text that is not escaped already.

use super::differ::{About, Difference, SectionDifference};
use crate::escape;
use crate::report::page::{Page, count, grouped};

/// Rows of a section, unless all are asked for.
const SHOWN: usize = 40;

impl Difference {
    /// For people, at most `width` columns wide as far as its words allow.
    /// Without `all`, the first rows of each section.
    #[must_use]
    pub fn to_table(&self, width: usize, all: bool) -> String {
        let mut page = Page::new(width);
        let says = match self.same {
            true => "the same: nothing new, gone or changed",
            false => "they differ",
        };
        page.wrap("", "  ", says);
        page.title("Runs");
        about(&mut page, "a", &self.a);
        about(&mut page, "b", &self.b);
        let most = if all { usize::MAX } else { SHOWN };
        for section in &self.sections {
            if !section.is_empty() {
                rows(&mut page, section, most);
            }
        }
        let beyond: Vec<_> = self
            .sections
            .iter()
            .filter(|one| one.beyond != [0, 0])
            .collect();
        if !beyond.is_empty() {
            page.title("Not compared");
            for section in beyond {
                let [a, b] = section.beyond;
                let text = format!(
                    "{}: {} of a and {} of b had no room in the tables",
                    section.kind.title(),
                    grouped(a),
                    grouped(b)
                );
                page.wrap("  ", "    ", &text);
            }
        }
        page.title("Receipt");
        page.field("rules", &self.b.rules);
        page.field("trace a", self.a.trace.as_deref().unwrap_or("cut"));
        page.field("trace b", self.b.trace.as_deref().unwrap_or("cut"));
        page.field("difference", self.digest.as_deref().unwrap_or("none"));
        page.text()
    }
}

fn about(page: &mut Page, name: &str, about: &About) {
    let events = count(about.events, "event");
    let command = match about.command.is_empty() {
        true => String::new(),
        false => format!(": {}", about.command),
    };
    let text = format!(
        "{}  {}  {events}  {}{command}",
        escape::string(&about.name),
        about.verdict,
        about.label
    );
    page.field(name, &text);
    if let Some(why) = &about.why {
        page.field("", &format!("✗ CUT: {why}"));
    }
}

fn rows(page: &mut Page, section: &SectionDifference, most: usize) {
    let number = |n: usize| grouped(n as u64);
    page.title(&format!(
        "{}: {} new, {} gone, {} changed, {} the same",
        section.kind.title(),
        number(section.new.len()),
        number(section.gone.len()),
        number(section.changed.len()),
        grouped(section.same)
    ));
    let event = |seq: Option<u64>| seq.map_or_else(String::new, |seq| format!("  #{seq}"));
    for (sign, lines) in [("  + ", &section.new), ("  - ", &section.gone)] {
        for line in lines.iter().take(most) {
            let text = format!("{}  [{}]{}", line.what, line.state, event(line.event));
            page.wrap(sign, "      ", &text);
        }
        rest(page, lines.len(), most);
    }
    for change in section.changed.iter().take(most) {
        let text = format!(
            "{}  [{} → {}]{}",
            change.what,
            change.from,
            change.to,
            event(change.event)
        );
        page.wrap("  ~ ", "      ", &text);
    }
    rest(page, section.changed.len(), most);
}

fn rest(page: &mut Page, all: usize, shown: usize) {
    let more = all.saturating_sub(shown);
    if more > 0 {
        page.line(&format!(
            "    … {} more; --all lists them",
            grouped(more as u64)
        ));
    }
}
