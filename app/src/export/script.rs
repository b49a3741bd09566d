//! The keys that a film presses, and when.
//!
//! Owns: how they are written: `2s ] Enter 1.5s Esc /proc.name Enter`.
//! Must not: know what a key does.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Most steps, and the longest pause.
const MOST: usize = 2000;
const LONGEST: f64 = 600.0;

/// Keys with the time of the film, in nanoseconds, at which each is pressed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Script {
    pub(crate) keys: Vec<(u64, KeyEvent)>,
    /// When the last pause is over.
    pub(crate) end: u64,
}

/// A word that is no key and no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScriptError {
    /// Not a time.
    #[error("keys: `{0}` is no pause (write 2s or 0.5s, at most {LONGEST} s)")]
    Pause(String),
    /// Too much.
    #[error("keys: more than {MOST} of them")]
    Long,
}

const NAMES: &[(&str, KeyCode)] = &[
    ("Enter", KeyCode::Enter),
    ("Esc", KeyCode::Esc),
    ("Tab", KeyCode::Tab),
    ("BackTab", KeyCode::BackTab),
    ("Space", KeyCode::Char(' ')),
    ("Up", KeyCode::Up),
    ("Down", KeyCode::Down),
    ("Left", KeyCode::Left),
    ("Right", KeyCode::Right),
    ("Home", KeyCode::Home),
    ("End", KeyCode::End),
    ("PageUp", KeyCode::PageUp),
    ("PageDown", KeyCode::PageDown),
    ("Backspace", KeyCode::Backspace),
];

impl std::str::FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        let mut script = Self::default();
        for word in text.split_whitespace() {
            if let Some(pause) = pause(word) {
                script.end = script.end.saturating_add(pause?);
                continue;
            }
            let named = NAMES.iter().find(|(name, _)| *name == word);
            let codes: Vec<KeyCode> = match named {
                Some((_, code)) => vec![*code],
                None => word.chars().map(KeyCode::Char).collect(),
            };
            for code in codes {
                if script.keys.len() >= MOST {
                    return Err(ScriptError::Long);
                }
                let key = KeyEvent::new(code, KeyModifiers::NONE);
                script.keys.push((script.end, key));
            }
        }
        Ok(script)
    }
}

/// `1.5s`: digits and a point before the `s`. Anything else is typed.
fn pause(word: &str) -> Option<Result<u64, ScriptError>> {
    let digits = word.strip_suffix('s')?;
    if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let wrong = || ScriptError::Pause(word.chars().take(20).collect());
    let seconds = digits.parse::<f64>().ok();
    let good = seconds.filter(|seconds| (0.0..=LONGEST).contains(seconds));
    Some(
        good.and_then(|seconds| std::time::Duration::try_from_secs_f64(seconds).ok())
            .and_then(|time| u64::try_from(time.as_nanos()).ok())
            .ok_or_else(wrong),
    )
}
