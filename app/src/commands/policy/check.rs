//! `belljar policy check`: each line with who enforces it.

use belljar_replay::escape;
use belljar_replay::policy::{Action, Checked, Policy, PolicyError};

use super::Named;
use crate::cli;
use crate::error::AppError;
use crate::exit::Exit;
use crate::policies::{SOME_HOME, decoy_paths};
use crate::print;

pub(super) fn check(args: &cli::Check) -> Result<Exit, AppError> {
    let mut good = true;
    for named in &args.files {
        match Named::find(named) {
            Ok(found) => good &= one(named, &found),
            Err(error) => {
                print::error(&error.present());
                good = false;
            }
        }
    }
    Ok(if good { Exit::Fine } else { Exit::Usage })
}

fn one(named: &str, found: &Named) -> bool {
    let policy = match found.load() {
        Ok(policy) => policy,
        Err(errors) => {
            errors.iter().for_each(told);
            return false;
        }
    };
    let checked = policy
        .at_home(SOME_HOME)
        .and_then(|home| rows(named, &policy, &home));
    match checked {
        Ok(good) => good,
        Err(error) => {
            told(&error);
            false
        }
    }
}

/// Prints a row a line; false if one of them cannot be enforced.
fn rows(named: &str, written: &Policy, at_home: &Policy) -> Result<bool, PolicyError> {
    let checked = at_home.checked(&decoy_paths(SOME_HOME))?;
    let count = checked.len();
    let lines = if count == 1 { "line" } else { "lines" };
    print::out(&format!("{}: {count} {lines}\n", escape::string(named)));
    let wide = checked
        .iter()
        .map(|row| row.line.id.len())
        .max()
        .unwrap_or(0);
    let mut good = true;
    for row in &checked {
        let by = match &row.by {
            Ok(by) if by.is_empty() => "?".to_owned(),
            Ok(by) => {
                let names: Vec<_> = by.iter().map(|by| by.name()).collect();
                names.join("+")
            }
            Err(_) => "REFUSED".to_owned(),
        };
        // As it was written, not as it is in some home.
        let line = written.line(&row.line.id).unwrap_or(row.line);
        let condition: Vec<_> = line.condition.source().split_whitespace().collect();
        print::out(&format!(
            "  {by:<12} {:<wide$}  {:<6} {}\n",
            escape::string(&line.id),
            action(line.action),
            escape::clip(&escape::string(&condition.join(" ")), 200)
        ));
        if let Err(error) = &row.by {
            told(error);
            good = false;
        }
        warn(row);
    }
    Ok(good)
}

fn told(error: &PolicyError) {
    print::error(&format!("belljar: {}", escape::string(&error.to_string())));
}

/// A line that can never decide is no error, but surely a mistake.
fn warn(row: &Checked<'_>) {
    let Some(covered) = &row.covered else { return };
    let place = |line: &belljar_replay::policy::Line| match &line.origin {
        Some(at) => format!("{}:{}:{}", at.file, at.line, at.column),
        None => line.id.clone(),
    };
    let what = if covered.but_unknown {
        "decides only where a value is not known"
    } else {
        "can never decide"
    };
    let text = format!(
        "{}: warning: line `{}` {what}: `{}` ({}) stands before it and covers it",
        place(row.line),
        row.line.id,
        covered.by.id,
        place(covered.by)
    );
    print::error(&format!("belljar: {}", escape::string(&text)));
}

pub(super) fn action(action: Action) -> &'static str {
    match action {
        Action::Allow => "allow",
        Action::Deny => "deny",
        Action::Ask => "ask",
        Action::Kill => "kill",
    }
}
