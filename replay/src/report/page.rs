//! Plain text in lines of a given width, and numbers for people.
//!
//! Owns: wrapping, columns, units. Must not: know what a report is, or use a
//! float: the same number is the same text everywhere.

use unicode_width::UnicodeWidthStr;

/// No page is narrower.
const MIN_WIDTH: usize = 40;

pub(crate) fn times(n: u64) -> String {
    format!("{}x", grouped(n))
}

/// `1,234 flows`, `1 flow`.
pub(crate) fn count(n: u64, what: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(n))
}

/// `1,234,567`.
pub(crate) fn grouped(n: u64) -> String {
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
pub(crate) fn seconds(nanoseconds: u64) -> String {
    let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    format!("{}.{:03} s", grouped(seconds), rest / 1_000_000)
}

/// `1.2 MB`, without a float: cut, not rounded.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [(u64, &str); 4] = [
        (1_000_000_000_000, "TB"),
        (1_000_000_000, "GB"),
        (1_000_000, "MB"),
        (1_000, "kB"),
    ];
    match UNITS.iter().find(|(unit, _)| n >= *unit) {
        None => format!("{n} B"),
        Some((unit, name)) => format!("{}.{} {name}", grouped(n / unit), n % unit * 10 / unit),
    }
}

/// Lines in the making.
pub(crate) struct Page {
    out: String,
    width: usize,
}

impl Page {
    pub(crate) fn new(width: usize) -> Self {
        Self {
            out: String::new(),
            width: width.max(MIN_WIDTH),
        }
    }

    pub(crate) fn text(self) -> String {
        self.out
    }

    pub(crate) fn title(&mut self, title: &str) {
        self.out.push('\n');
        self.out.push_str(title);
        self.out.push('\n');
    }

    pub(crate) fn field(&mut self, name: &str, value: &str) {
        let name = format!("  {name:<14} ");
        self.wrap(&name, &" ".repeat(17), value);
    }

    /// Words in lines; the first line begins with `first`, the others with `rest`.
    pub(crate) fn wrap(&mut self, first: &str, rest: &str, text: &str) {
        let mut line = first.to_owned();
        let mut empty = true;
        for word in text.split(' ') {
            let needed = line
                .width()
                .saturating_add(word.width())
                .saturating_add(usize::from(!empty));
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

    pub(crate) fn line(&mut self, line: &str) {
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    /// Says how many rows were left out.
    pub(crate) fn rest(&mut self, all: usize, shown: usize, indent: &str) {
        let more = all.saturating_sub(shown);
        if more > 0 {
            self.wrap(
                indent,
                indent,
                &format!("… {} more in the JSON report", grouped(more as u64)),
            );
        }
    }

    /// Rows of four: three columns as wide as they need to be (up to a third of
    /// the page), and the last wrapped behind them, or below where it does not fit.
    pub(crate) fn columns(&mut self, rows: &[[String; 4]]) {
        let most = self.width / 3;
        let widest = |at: usize| {
            let cells = rows.iter().filter_map(|row| row.get(at));
            cells.map(|cell| cell.width()).max().unwrap_or(0).min(most)
        };
        let widths = [widest(0), widest(1), widest(2)];
        let left: usize = widths
            .iter()
            .map(|width| width.saturating_add(2))
            .fold(2, usize::saturating_add);
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
