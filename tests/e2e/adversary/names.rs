//! Names that want to be obeyed: nothing that a terminal acts on, that turns text
//! around or that nobody can see comes out of belljar, whichever way is looked.

use libtest_mimic::Trial;

use crate::support::*;

pub fn tests() -> Vec<Trial> {
    vec![test(
        "adversary::hostile_names_reach_no_terminal",
        &[Need::Guest],
        hostile_names,
    )]
}

const PAYLOAD: &str = include_str!("names.py");

/// Each name has its own word, which the trace must have.
const WORDS: &[&str] = &[
    "word-file",
    "word-missing",
    "word-folder",
    "word-program",
    "word-argument",
    "word-target",
    "word-link",
    "word-renamed",
    "word-memory",
    "word-memory-program",
    "word-first",
    "word-socket",
    "word-abstract",
    "word-lookup",
    "word-home",
    "word-hidden",
];

fn hostile_names() -> Result {
    let dir = tempfile::tempdir()?;
    let (trace, project) = (dir.path().join("t.bjt"), dir.path().join("p"));
    std::fs::create_dir(&project)?;
    std::fs::write(project.join("names.py"), PAYLOAD)?;
    // As a person would see it: no JSON.
    let mut live = belljar(["run", "--headless", "--on-malicious", "continue"]);
    live.args(["--no-registries", "-o"]);
    live.arg(&trace)
        .arg(&project)
        .args(["--", "python3", "names.py"]);
    let live = output(&mut live)?;
    shown("the live table", &live.stdout)?;
    shown("what the run said", &live.stderr)?;
    let events = events(&trace)?;
    let printed = terminal(&events);
    let steps = printed.matches("STEP ").count();
    check(
        printed.contains("STEP done OK") && steps == printed.matches(" OK").count(),
        || printed.clone(),
    )?;
    for format in ["table", "json", "jsonl"] {
        let told = output(belljar(["report", "--format", format]).arg(&trace))?;
        shown(format, &told.stdout)?;
        shown(format, &told.stderr)?;
        if format == "jsonl" {
            // Bytes that are no text are told as hexadecimal digits.
            let text = text(&told.stdout);
            for word in WORDS {
                let digits: String = word.bytes().map(|byte| format!("{byte:02x}")).collect();
                check(text.contains(word) || text.contains(&digits), || {
                    format!("{word} is not in the trace")
                })?;
            }
        }
    }
    let verified = output(belljar(["verify"]).arg(&trace))?;
    shown("verify", &verified.stdout)
}

/// Only line ends, and characters that stand for themselves.
fn shown(what: &str, bytes: &[u8]) -> Result {
    let text = std::str::from_utf8(bytes).map_err(|e| format!("{what} is no text: {e}"))?;
    let obeyed = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fffd}')
    };
    match text.lines().find(|line| line.contains(obeyed)) {
        None => Ok(()),
        Some(line) => Err(format!("{what} shows {}", line.escape_debug()).into()),
    }
}
