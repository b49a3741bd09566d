//! `belljar policy test`: cases written beside a policy.

use belljar_replay::escape;
use belljar_replay::policy::{CaseResult, Cases, Policy, PolicyError};

use super::Named;
use super::check::action;
use crate::cli;
use crate::error::AppError;
use crate::exit::Exit;
use crate::policies::{SOME_HOME, decoy_paths, decoys};
use crate::print;

pub(super) fn test(args: &cli::Test) -> Result<Exit, AppError> {
    let other = args.policy.as_deref().map(loaded).transpose()?;
    let (mut passed, mut failed) = (0usize, 0usize);
    for named in &args.files {
        let found = Named::find(named)?;
        let policy = match &other {
            Some(policy) => policy.clone(),
            None => of(&found)?,
        };
        let decoy = |path: &str| {
            let known = decoys(SOME_HOME).into_iter();
            let mut known = known.filter(|(decoy, _)| decoy == path);
            known.next().map(|(_, kind)| kind.to_owned())
        };
        let cases = Cases::read(&found.source(), SOME_HOME, &decoy).map_err(wrong)?;
        if cases.is_empty() {
            return Err(AppError::usage(
                format!("{named} has no cases"),
                "write [[test]] tables into it: see belljar policy test --help",
            ));
        }
        for result in cases.run(&policy, &decoy_paths(SOME_HOME)).map_err(wrong)? {
            print::out(&row(named, &result));
            if result.passed() {
                passed += 1;
            } else {
                failed += 1;
            }
        }
    }
    print::out(&format!("{passed} passed, {failed} failed\n"));
    Ok(if failed == 0 {
        Exit::Fine
    } else {
        Exit::Verdict
    })
}

fn wrong(error: PolicyError) -> AppError {
    AppError::Rules(error.to_string())
}

fn loaded(named: &str) -> Result<Policy, AppError> {
    of(&Named::find(named)?)
}

fn of(found: &Named) -> Result<Policy, AppError> {
    found
        .load()
        .map_err(|errors| {
            let all: Vec<_> = errors.iter().map(ToString::to_string).collect();
            AppError::Rules(all.join("\n"))
        })?
        .at_home(SOME_HOME)
        .map_err(wrong)
}

fn row(named: &str, result: &CaseResult<'_>) -> String {
    let decided = &result.explained.decided;
    let home = format!("{SOME_HOME}/");
    let mut text = format!(
        "{}  {named}:{}  {} {}: {} by {}",
        if result.passed() { "ok  " } else { "FAIL" },
        result.line,
        result.case.op.name(),
        result.case.object().replace(&home, "~/"),
        action(decided.action),
        decided.by,
    );
    if !result.passed() {
        let by = result.by.as_ref();
        let by = by.map_or_else(String::new, |by| format!(" by {by}"));
        text.push_str(&format!("; expected {}{by}", action(result.expect)));
    }
    escape::string(&text) + "\n"
}
