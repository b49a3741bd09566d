//! Lines of an overlay in the making, wrapped to its width.

use super::Span;
use crate::screen::text::{clock, safe_str, wrap};
use crate::screen::theme::Role;

/// Lines being written.
pub(in crate::screen) struct Page {
    pub(in crate::screen) width: usize,
    pub(in crate::screen) lines: Vec<Vec<Span>>,
}

impl Page {
    pub(in crate::screen) fn line(&mut self, role: Role, text: &str) {
        for line in wrap(text, self.width) {
            self.lines.push(vec![(role, line)]);
        }
    }

    /// Text that was written in paragraphs: its own line ends do not count.
    pub(in crate::screen) fn prose(&mut self, role: Role, text: &str) {
        for (at, paragraph) in text.trim().split("\n\n").take(100).enumerate() {
            if at > 0 {
                self.gap();
            }
            let words: Vec<&str> = paragraph.split_ascii_whitespace().collect();
            self.line(role, &safe_str(&words.join(" ")));
        }
    }

    pub(in crate::screen) fn gap(&mut self) {
        self.lines.push(Vec::new());
    }

    pub(in crate::screen) fn heading(&mut self, text: &str) {
        if !self.lines.is_empty() {
            self.gap();
        }
        self.line(Role::Title, text);
    }

    /// A label and what belongs to it, wrapped behind it.
    pub(in crate::screen) fn pair(&mut self, label: &str, role: Role, text: &str) {
        const LABEL: usize = 12;
        let room = self.width.saturating_sub(LABEL).max(8);
        for (at, line) in wrap(text, room).into_iter().enumerate() {
            let head = if at == 0 { label } else { "" };
            self.lines
                .push(vec![(Role::Muted, format!("{head:<LABEL$}")), (role, line)]);
        }
    }

    /// Time, then what happened.
    pub(in crate::screen) fn event(&mut self, seq: u64, since: u64, text: &str) {
        let head = format!("{:>9}  #{seq:<7} ", clock(since));
        let room = self.width.saturating_sub(head.chars().count()).max(8);
        for (at, line) in wrap(text, room).into_iter().enumerate() {
            let head = if at == 0 {
                head.clone()
            } else {
                " ".repeat(head.chars().count())
            };
            self.lines
                .push(vec![(Role::Muted, head), (Role::Text, line)]);
        }
    }
}
