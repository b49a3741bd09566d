//! `belljar demo`: a bundled recording, for whoever has no machine to run guests on.

use belljar_recorder::Reader;
use belljar_replay::batch;
use belljar_replay::rules::RuleSet;

use super::{batch_error, replay};
use crate::cli;
use crate::error::AppError;
use crate::exit::Exit;
use crate::print;
use crate::screen::Theme;

/// A recording that is part of the program.
struct Recording {
    name: &'static str,
    what: &'static str,
    bytes: &'static [u8],
}

/// The first is shown where none is named.
const RECORDINGS: &[Recording] = &[
    Recording {
        name: "thief",
        what: "npm install of a package whose script looks for credentials and sends them away",
        bytes: include_bytes!("../../../fixtures/traces/npm-credential-thief.bjt"),
    },
    Recording {
        name: "benign",
        what: "npm install of a package that does nothing wrong",
        bytes: include_bytes!("../../../fixtures/traces/npm-benign.bjt"),
    },
];

pub(crate) fn demo(args: &cli::Demo, theme: Theme) -> Result<Exit, AppError> {
    if args.list {
        for one in RECORDINGS {
            print::out(&format!("{:<8} {}\n", one.name, one.what));
        }
        return Ok(Exit::Fine);
    }
    let Some(found) = RECORDINGS.iter().find(|one| one.name == args.name) else {
        let known: Vec<_> = RECORDINGS.iter().map(|one| one.name).collect();
        return Err(AppError::usage(
            format!("there is no recording {:?}", args.name),
            format!("there are: {}", known.join(", ")),
        ));
    };
    let name = std::path::Path::new(found.name);
    let reader = Reader::open(found.bytes).map_err(|source| AppError::Trace {
        path: name.to_owned(),
        source,
    })?;
    if print::interactive() {
        return replay::show(reader, args.at, theme, RuleSet::builtin());
    }
    let judged = batch::judge_reader(reader, &RuleSet::builtin())
        .map_err(|error| batch_error(name, error))?;
    print::out(&judged.report.to_table(print::width()));
    Ok(Exit::Fine)
}

#[cfg(test)]
mod tests {
    use belljar_replay::verdict::Verdict;

    use super::*;

    #[test]
    fn bundled_recordings_are_whole_and_judged_as_they_are_described() {
        let verdicts: Vec<Verdict> = RECORDINGS
            .iter()
            .map(|one| {
                let judged = batch::judge(one.bytes, &RuleSet::builtin()).unwrap();
                assert!(judged.integrity.is_complete(), "{}", one.name);
                judged.report.verdict
            })
            .collect();
        assert_eq!(verdicts, [Verdict::Malicious, Verdict::Safe]);
    }
}
