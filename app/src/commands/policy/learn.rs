//! `belljar policy learn`: traces to the least policy that would have allowed them.

use std::io::Write as _;

use belljar_recorder::Integrity;
use belljar_replay::escape;
use belljar_replay::policy::{Learned, Learner};
use belljar_replay::rules::RuleSet;

use crate::cli;
use crate::commands::{create, open};
use crate::error::AppError;
use crate::exit::Exit;
use crate::print;

/// What is not learned, in so many rows.
const MAX_ROWS: usize = 200;

pub(super) fn learn(args: &cli::Learn) -> Result<Exit, AppError> {
    let rules = RuleSet::builtin();
    let mut learner = Learner::default();
    let mut whole = true;
    for path in &args.traces {
        let mut reader = open(path)?;
        let label = path.file_name().unwrap_or(path.as_os_str());
        learner
            .trace(&label.to_string_lossy(), &mut reader, &rules)
            .map_err(|error| AppError::Judge {
                path: path.clone(),
                source: error.into(),
            })?;
        if let Integrity::Cut { entries, byte, why } = reader.integrity() {
            whole = false;
            print::error(&format!(
                "belljar: trace {} is damaged: {}; its first {entries} events (up to byte {byte}) \
                 are good and were learned from",
                path.display(),
                escape::string(&why)
            ));
        }
    }
    let learned = learner
        .finish()
        .map_err(|error| AppError::Rules(format!("the traces make no policy: {error}")))?;
    match &args.output {
        None => print::out(&learned.text),
        Some(path) => {
            let mut file = create(path)?;
            file.write_all(learned.text.as_bytes())
                .and_then(|()| file.sync_all())
                .map_err(|source| AppError::file("write", path, source))?;
            let count = learned.policy.lines().len();
            print::out(&format!("{}: {count} lines\n", path.display()));
        }
    }
    tell(&learned);
    Ok(if whole { Exit::Fine } else { Exit::Damaged })
}

/// What is not in it, beside the policy itself.
fn tell(learned: &Learned) {
    if !learned.not.is_empty() {
        print::error("not learned:");
    }
    for not in learned.not.iter().take(MAX_ROWS) {
        print::error(&format!(
            "  {}: {} ({})",
            escape::clip(&escape::string(&not.what), 160),
            escape::clip(&escape::string(&not.why), 200),
            escape::string(&not.events)
        ));
    }
    let more = learned.not.len().saturating_sub(MAX_ROWS);
    if more > 0 {
        print::error(&format!("  and {more} more"));
    }
    if learned.left_out > 0 {
        print::error(&format!(
            "  {} events were about more objects than can be learned",
            learned.left_out
        ));
    }
}
