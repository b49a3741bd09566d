//! `belljar diff`: two runs of the same thing, held against each other.

mod screen;

use std::path::Path;
use std::sync::Arc;

use belljar_replay::compare::{Alike, Did, Difference, Gather, folds};
use belljar_replay::rules::RuleSet;

use super::{batch_error, open};
use crate::cli::{self, Format};
use crate::error::AppError;
use crate::exit::Exit;
use crate::print;
use crate::screen::Theme;

pub(crate) fn diff(args: &cli::Diff, theme: Theme) -> Result<Exit, AppError> {
    let (Some(a), Some(b)) = (&args.a, &args.b) else {
        print::out(&(folds().collect::<Vec<_>>().join("\n") + "\n"));
        return Ok(Exit::Fine);
    };
    let alike = Alike::with(&args.fold)
        .map_err(|error| AppError::usage(error.to_string(), "see `belljar diff --folds`"))?;
    let rules = super::rules::loaded(&args.rules)?;
    if args.screen {
        return screen::show([a.clone(), b.clone()], rules, alike, theme);
    }
    let (a, b) = (did(a, &rules, &alike)?, did(b, &rules, &alike)?);
    let difference = Difference::of(&a, &b);
    print::out(&match args.format {
        Format::Table => difference.to_table(print::width(), args.all),
        Format::Json | Format::Jsonl => difference.to_json(),
    });
    Ok(exit(&a, &b, &difference))
}

fn exit(a: &Did, b: &Did, difference: &Difference) -> Exit {
    match (a.about.complete && b.about.complete, difference.is_empty()) {
        (false, _) => Exit::Damaged,
        (true, false) => Exit::Verdict,
        (true, true) => Exit::Fine,
    }
}

fn did(path: &Path, rules: &Arc<RuleSet>, alike: &Alike) -> Result<Did, AppError> {
    let mut reader = open(path)?;
    let mut gather = Gather::new(reader.start(), rules, alike.clone());
    for entry in &mut reader {
        let entry = entry.map_err(|error| batch_error(path, error.into()))?;
        gather.push(&entry);
    }
    Ok(gather.finish(&path.to_string_lossy(), &reader.integrity()))
}
