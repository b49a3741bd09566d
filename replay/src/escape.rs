//! Guest text made safe for a person's eyes and a terminal.
//!
//! Owns: the one escape that everything shown goes through.
//! Must not: drop bytes. What is escaped stays readable and reversible: a
//! backslash is itself escaped, so no guest can write an escape that was none.

use belljar_event::Text;

/// Characters that a terminal obeys, that reorder text, or that nobody can
/// see: first and last of each range, ascending. A table of our own, so that
/// a report's bytes do not hang on the compiler's Unicode version.
const HIDDEN: &[(u32, u32)] = &[
    (0x0000, 0x001f),    // C0 controls
    (0x007f, 0x00a0),    // DEL, C1 controls, no-break space
    (0x00ad, 0x00ad),    // soft hyphen
    (0x034f, 0x034f),    // combining grapheme joiner
    (0x0600, 0x0605),    // Arabic number signs (format)
    (0x061c, 0x061c),    // Arabic letter mark
    (0x06dd, 0x06dd),    // Arabic end of ayah (format)
    (0x070f, 0x070f),    // Syriac abbreviation mark
    (0x0890, 0x0891),    // Arabic pound and piastre mark
    (0x08e2, 0x08e2),    // Arabic disputed end of ayah
    (0x115f, 0x1160),    // Hangul fillers
    (0x1680, 0x1680),    // Ogham space
    (0x17b4, 0x17b5),    // Khmer inherent vowels
    (0x180b, 0x180f),    // Mongolian selectors
    (0x2000, 0x200f),    // spaces, zero widths, direction marks
    (0x2028, 0x202f),    // line and paragraph separators, bidi embeddings, narrow space
    (0x205f, 0x206f),    // spaces, invisible operators, bidi isolates
    (0x2800, 0x2800),    // blank Braille pattern
    (0x3000, 0x3000),    // ideographic space
    (0x3164, 0x3164),    // Hangul filler
    (0xd800, 0xf8ff),    // surrogates, private use
    (0xfdd0, 0xfdef),    // noncharacters
    (0xfe00, 0xfe0f),    // variation selectors
    (0xfeff, 0xfeff),    // byte order mark
    (0xffa0, 0xffa0),    // halfwidth Hangul filler
    (0xfff0, 0xffff),    // specials; U+FFFD too, which stands for what was lost
    (0x110bd, 0x110bd),  // Kaithi number sign
    (0x110cd, 0x110cd),  // Kaithi number sign above
    (0x13430, 0x1345f),  // Egyptian format controls
    (0x1bca0, 0x1bca3),  // shorthand format controls
    (0x1d159, 0x1d159),  // musical null notehead
    (0x1d173, 0x1d17a),  // musical format controls
    (0x1fffe, 0x1ffff),  // noncharacters
    (0x2fffe, 0x2ffff),  // noncharacters
    (0x3fffe, 0x10ffff), // unassigned planes, tags, selectors, private use
];

/// Marks that pile up on the character before them.
const STACKING: &[(u32, u32)] = &[
    (0x0300, 0x036f),
    (0x0483, 0x0489),
    (0x0591, 0x05bd),
    (0x0610, 0x061a),
    (0x064b, 0x065f),
    (0x0e31, 0x0e31),
    (0x0e34, 0x0e3a),
    (0x0e47, 0x0e4e),
    (0x1ab0, 0x1aff),
    (0x1dc0, 0x1dff),
    (0x20d0, 0x20ff),
    (0xfe20, 0xfe2f),
];

/// More marks than this on one character are escaped.
const MAX_STACK: usize = 2;

fn within(table: &[(u32, u32)], c: char) -> bool {
    let code = u32::from(c);
    let after = table.partition_point(|&(first, _)| first <= code);
    after
        .checked_sub(1)
        .and_then(|at| table.get(at))
        .is_some_and(|&(_, last)| code <= last)
}

/// Bytes from the guest, for people: printable UTF-8 stays, everything else
/// becomes `\n`, `\t`, `\r`, `\x1b`, `\u{202e}` or, where it is no UTF-8, `\xff`.
#[must_use]
pub fn bytes(raw: &[u8]) -> String {
    let mut out = String::with_capacity(raw.len());
    for chunk in raw.utf8_chunks() {
        push_str(&mut out, chunk.valid());
        for byte in chunk.invalid() {
            push_hex(&mut out, *byte);
        }
    }
    out
}

/// A string that may hold guest text.
#[must_use]
pub fn string(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    push_str(&mut out, raw);
    out
}

/// A word as the condition language reads it back: bare where it can be, else in
/// quotes, with escapes for what nobody could see. What is not UTF-8 cannot be
/// said there and comes out as something else.
#[must_use]
pub fn quoted(raw: &[u8]) -> String {
    let word = String::from_utf8_lossy(raw);
    let bare = |c: char| c.is_ascii_alphanumeric() || "/._-@+:".contains(c);
    if !word.is_empty() && word.chars().all(bare) {
        return word.into_owned();
    }
    let mut out = String::from("\"");
    let mut stack = 0;
    for c in word.chars() {
        stack = if within(STACKING, c) { stack + 1 } else { 0 };
        match c {
            '\\' | '"' => out.extend(['\\', c]),
            // In a policy it would stand for the payload's home.
            '~' => out.push_str("\\u{7e}"),
            c if is_plain(c) && stack <= MAX_STACK && (stack == 0 || out.len() > 1) => out.push(c),
            c => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

/// A text with its state: what is missing is said.
#[must_use]
pub fn text(raw: &Text) -> String {
    match raw {
        Text::Whole(all) => bytes(all),
        Text::Cut {
            bytes: head,
            length,
        } => {
            let missing = length.saturating_sub(head.len() as u64);
            format!("{}…(+{missing} bytes)", bytes(head))
        }
        Text::Unreadable => "<unreadable>".to_owned(),
    }
}

/// At most `max` characters of an escaped line, with an ellipsis where it was cut.
#[must_use]
pub fn clip(line: &str, max: usize) -> String {
    // No more characters than bytes.
    if line.len() <= max {
        return line.to_owned();
    }
    match line.char_indices().nth(max) {
        None => line.to_owned(),
        Some(_) => {
            let mut out: String = line.chars().take(max.saturating_sub(1)).collect();
            out.push('…');
            out
        }
    }
}

/// True if the character is shown as it is.
#[must_use]
pub fn is_plain(c: char) -> bool {
    c != '\\' && !within(HIDDEN, c)
}

fn push_str(out: &mut String, raw: &str) {
    let mut stack = 0;
    let mut rest = raw;
    loop {
        // Nearly all text is this, and needs no look into the tables.
        let plain = rest.bytes().position(|byte| !is_plain_ascii(byte));
        let (head, tail) = rest.split_at(plain.unwrap_or(rest.len()));
        if !head.is_empty() {
            out.push_str(head);
            stack = 0;
        }
        let mut chars = tail.chars();
        let Some(c) = chars.next() else {
            return;
        };
        rest = chars.as_str();
        if within(STACKING, c) {
            stack += 1;
            if stack > MAX_STACK || out.is_empty() {
                push_escape(out, c);
                continue;
            }
        } else {
            stack = 0;
        }
        if is_plain(c) {
            out.push(c)
        } else {
            push_escape(out, c)
        }
    }
}

/// As [`is_plain`], and in no table of marks.
fn is_plain_ascii(byte: u8) -> bool {
    matches!(byte, 0x20..0x7f) && byte != b'\\'
}

fn push_escape(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\\' => out.push_str("\\\\"),
        c if u32::from(c) < 0x80 => push_hex(out, c as u8),
        c => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
    }
}

fn push_hex(out: &mut String, byte: u8) {
    out.push_str("\\x");
    for nibble in [byte >> 4, byte & 15] {
        out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('?'));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tables_ascend_without_overlap() {
        for table in [HIDDEN, STACKING] {
            assert!(table.iter().all(|(first, last)| first <= last));
            assert!(table.is_sorted_by(|a, b| a.1 < b.0));
        }
    }

    #[test]
    fn what_a_terminal_obeys_is_written_out() {
        assert_eq!(
            bytes(b"a\x1b[31mred\x07\r\n\t"),
            "a\\x1b[31mred\\x07\\r\\n\\t"
        );
        assert_eq!(bytes("c1 \u{9b}31m".as_bytes()), "c1 \\u{9b}31m");
        assert_eq!(bytes(b"\xff/\xc3("), "\\xff/\\xc3(");
    }

    #[test]
    fn what_nobody_sees_is_written_out() {
        assert_eq!(string("inv\u{202e}gpj.exe"), "inv\\u{202e}gpj.exe");
        assert_eq!(
            string("a\u{200b}b\u{feff}c\u{e0041}\u{2066}"),
            "a\\u{200b}b\\u{feff}c\\u{e0041}\\u{2066}"
        );
        assert_eq!(string("a\u{a0}b\u{3164}"), "a\\u{a0}b\\u{3164}");
    }

    #[test]
    fn an_escape_cannot_be_forged() {
        assert_eq!(string("\\x1b"), "\\\\x1b");
        assert_ne!(bytes(b"\\n"), bytes(b"\n"));
    }

    #[test]
    fn ordinary_text_stays() {
        for plain in [
            "/home/dev/.ssh/id_ed25519",
            "Ünïcode 漢字 ← ok",
            "e\u{301}te\u{301}",
        ] {
            assert_eq!(string(plain), plain);
        }
    }

    #[test]
    fn piles_of_marks_are_cut_down() {
        assert_eq!(string("e\u{301}\u{302}\u{303}"), "e\u{301}\u{302}\\u{303}");
        assert_eq!(string("\u{301}a"), "\\u{301}a");
    }

    #[test]
    fn states_are_said() {
        assert_eq!(text(&Text::capped(b"abcdef", 4)), "abcd…(+2 bytes)");
        assert_eq!(text(&Text::Unreadable), "<unreadable>");
        assert_eq!(clip("abcdef", 4), "abc…");
        assert_eq!(clip("abcd", 4), "abcd");
    }

    /// A file of this name, and nothing else.
    struct Named<'a>(&'a str);

    impl crate::cond::Subject for Named<'_> {
        fn value(&self, field: crate::cond::Field) -> crate::cond::Value<'_> {
            match field {
                crate::cond::Field::FdName => crate::cond::Value::str(self.0),
                _ => crate::cond::Value::Absent,
            }
        }
    }

    fn holds(condition: &str, name: &str) -> bool {
        let condition = crate::cond::Condition::parse(condition, &crate::cond::Names::new());
        condition.unwrap().matches(&Named(name)).is_yes()
    }

    #[test]
    fn literals_have_escapes() {
        for (literal, name) in [
            (r#""a\x1bb""#, "a\u{1b}b"),
            (r#""a\\x1bb""#, "a\\x1bb"),
            (r"'\u{202e}\u{41}'", "\u{202e}A"),
            // What is no escape stays as it is written.
            (
                r#""\u{110000}\u{}\x4\xff\u41\u{d800}""#,
                r"\u{110000}\u{}\x4\xff\u41\u{d800}",
            ),
        ] {
            assert!(holds(&format!("fd.name = {literal}"), name), "{literal}");
        }
        // Patterns keep theirs: this one is a dot, not any character.
        assert!(holds(r#"fd.name regex "a\x2eb""#, "a.b"));
        assert!(!holds(r#"fd.name regex "a\x2eb""#, "axb"));
    }

    proptest! {
        /// Whatever it is called, it comes back out of its literal and never gets out of it.
        #[test]
        fn a_quoted_word_is_read_back(
            raw in proptest::prop_oneof![any::<String>(), "[\"'\\\\xu{}0-9a-f()=, ]{0,20}"],
            other in "[\"'\\\\xu{}0-9a-f()=, ]{0,20}",
        ) {
            let word = quoted(raw.as_bytes());
            let condition = format!("fd.name = {word}");
            prop_assert!(holds(&condition, &raw), "{condition}");
            prop_assert_eq!(holds(&condition, &other), other == raw);
            let listed = format!("fd.name in (x-y, {word})");
            prop_assert!(holds(&listed, &raw));
            prop_assert!(word.chars().all(|c| c == '\\' || is_plain(c)), "{word}");
            prop_assert!(!word.contains('~'));
        }

        #[test]
        fn nothing_hidden_ever_comes_out(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
            let shown = bytes(&raw);
            prop_assert!(shown.chars().all(|c| c == '\\' || is_plain(c)));
        }

        #[test]
        fn different_bytes_look_different(a in proptest::collection::vec(any::<u8>(), 0..12), b in proptest::collection::vec(any::<u8>(), 0..12)) {
            prop_assert_eq!(a == b, bytes(&a) == bytes(&b));
        }
    }
}
