//! Scores that an earlier `rescore --format json` (or jsonl) put down.
//!
//! Owns: which files are such results, reading them, and what makes one unusable.
//! Must not: compare. A score is found by the digest of its trace's events, so
//! that it does not matter where the traces lie now.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use belljar_replay::compare::Score;
use serde::Deserialize;

use super::told::{FORMAT, Side};
use crate::error::AppError;

/// The oldest format that has scores.
const FIRST: u32 = 1;
/// A longer file is no result of ours.
const MAX_BYTES: u64 = 4 << 30;
/// How to come by such a file.
const HINT: &str = "make it with `belljar rescore TRACE|DIR… --format json > scores.json`";

/// What stands in such a file, as far as it is needed.
#[derive(Deserialize)]
struct Whole {
    new: Side,
    #[serde(default)]
    traces: Vec<Row>,
    interrupted: bool,
    receipt: Receipt,
}

#[derive(Deserialize)]
struct Receipt {
    engine: String,
}

#[derive(Deserialize)]
struct Row {
    digest: Option<String>,
    score: Option<Score>,
}

/// Asked first, since the rest may look otherwise in another version.
#[derive(Deserialize)]
struct Version {
    format: Option<u32>,
}

/// Scores by the digest of the trace's events.
pub(super) struct Saved {
    pub(super) rules: Side,
    /// The version of belljar that judged.
    pub(super) engine: String,
    scores: BTreeMap<String, Score>,
}

/// The saved result among the files of `--against`, if there is one.
pub(super) fn among(files: &[PathBuf]) -> Result<Option<Saved>, AppError> {
    let saved = |path: &PathBuf| {
        let ending = path.extension().and_then(|ending| ending.to_str());
        matches!(ending, Some("json" | "jsonl"))
    };
    match files {
        [one] if saved(one) => load(one).map(Some),
        all if all.iter().any(saved) => Err(AppError::usage(
            "--against takes rules, or one saved result, not both",
            "a file that ends in .json or .jsonl is a saved result; name it alone",
        )),
        _ => Ok(None),
    }
}

impl Saved {
    pub(super) fn of(&self, digest: &str) -> Option<&Score> {
        self.scores.get(digest)
    }
}

fn load(path: &Path) -> Result<Saved, AppError> {
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| BufReader::new(file).take(MAX_BYTES).read_to_end(&mut text))
        .map_err(|source| AppError::file("read", path, source))?;
    let wrong = |what: String| AppError::usage(format!("{}: {what}", path.display()), HINT);
    read(&text).map_err(wrong)
}

/// A result, or what is wrong with it.
fn read(text: &[u8]) -> Result<Saved, String> {
    let foreign = |error: serde_json::Error| format!("no result of `belljar rescore`: {error}");
    let (versioned, rows) = match text.strip_prefix(b"{\n") {
        // As one document.
        Some(_) => (text, Vec::new()),
        // A line each; the last one is about all.
        None => {
            let lines = text.split(|byte| *byte == b'\n');
            let mut lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
            (lines.pop().unwrap_or_default(), lines)
        }
    };
    let version: Version = serde_json::from_slice(versioned).map_err(foreign)?;
    match version.format {
        None => {
            return Err(
                "no result of `belljar rescore`: it names no format (a jsonl one is cut)"
                    .to_owned(),
            );
        }
        Some(format) if format > FORMAT => {
            return Err(format!(
                "made by a newer belljar: its format is {format}, this one reads {FIRST} to {FORMAT}"
            ));
        }
        Some(format) if format < FIRST => {
            return Err(format!(
                "made by an older belljar (format {format}): it has changes only, and no scores"
            ));
        }
        Some(_) => {}
    }
    let mut whole: Whole = serde_json::from_slice(versioned).map_err(foreign)?;
    for line in rows {
        whole
            .traces
            .push(serde_json::from_slice(line).map_err(foreign)?);
    }
    if whole.interrupted {
        return Err("its making was interrupted: it has not all traces".to_owned());
    }
    let rows = whole.traces.into_iter();
    // A trace that was cut has no digest, and may have grown since.
    let scores = rows.filter_map(|row| Some((row.digest?, row.score?)));
    Ok(Saved {
        rules: whole.new,
        engine: whole.receipt.engine,
        scores: scores.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: &str = r#"{"rules":"00","count":1,"suppressions":null,"baselines":null}"#;
    const ROW: &str =
        r#"{"trace":"a.bjt","digest":"d1","score":{"verdict":"SAFE","findings":[],"open":[]}}"#;

    fn whole(format: u32, interrupted: bool) -> String {
        format!(
            "{{\n\"format\": {format},\n\"old\": {SIDE},\n\"new\": {SIDE},\n\"traces\": [\n{ROW}\n],\n\
             \"interrupted\": {interrupted},\n\"receipt\": {{\"engine\":\"0.1.0\"}}\n}}\n"
        )
    }

    fn refused(text: &str) -> String {
        read(text.as_bytes()).err().unwrap_or_default()
    }

    #[test]
    fn both_forms_are_read() {
        let lines = format!(
            "{ROW}\n{{\"format\":{FORMAT},\"new\":{SIDE},\"interrupted\":false,\"receipt\":{{\"engine\":\"0.1.0\"}}}}\n"
        );
        for text in [whole(FORMAT, false), lines] {
            let saved = read(text.as_bytes()).unwrap();
            assert_eq!(saved.engine, "0.1.0");
            assert!(saved.of("d1").is_some() && saved.of("d2").is_none());
        }
    }

    #[test]
    fn what_is_no_such_result_is_refused_with_the_reason() {
        assert!(refused(&whole(FORMAT + 1, false)).contains("newer belljar"));
        assert!(refused(&whole(0, false)).contains("older belljar"));
        assert!(refused(&whole(FORMAT, true)).contains("interrupted"));
        for foreign in [
            "",
            "- rule: x\n",
            "[]",
            "{}",
            "{\"verdict\":\"SAFE\"}\n",
            "\u{0}",
        ] {
            assert!(
                refused(foreign).contains("no result of `belljar rescore`"),
                "{foreign:?}: {}",
                refused(foreign)
            );
        }
        let cut = whole(FORMAT, false);
        let cut = cut.get(..cut.len() / 2).unwrap();
        assert!(refused(cut).contains("no result"));
        assert!(refused(ROW).contains("cut"));
        // Verdicts of a shape of its own are no verdicts.
        let odd = whole(FORMAT, false).replace("SAFE", "PERHAPS");
        assert!(refused(&odd).contains("PERHAPS"));
    }
}
