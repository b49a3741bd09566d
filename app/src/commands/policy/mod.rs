//! `belljar policy`: policies shown, checked, explained, tested and learned.
//!
//! Owns: which of them, and what it looks like. Must not: run anything.

mod check;
mod explain;
mod learn;
mod test;

use std::path::Path;

use belljar_replay::policy::{
    PRESETS, PROFILES, Policy, PolicyError, Source, Syntax, preset_text, profile_text,
};

use crate::cli::{self, PolicyCommand};
use crate::error::AppError;
use crate::exit::Exit;
use crate::policies::{self, PROJECT_FILE, PolicyFile, USER};
use crate::print;

pub(crate) fn policy(args: &cli::Policy) -> Result<Exit, AppError> {
    match &args.command {
        PolicyCommand::Check(args) => check::check(args),
        PolicyCommand::Show(args) => show(args),
        PolicyCommand::Explain(args) => explain::explain(args),
        PolicyCommand::Test(args) => test::test(args),
        PolicyCommand::Learn(args) => learn::learn(args),
    }
}

/// A policy's text, by its name or in its file.
enum Named {
    Own(&'static str, &'static str),
    File(PolicyFile),
    /// In front of nothing, since it only restricts.
    Project(PolicyFile),
}

impl Named {
    fn find(named: &str) -> Result<Self, AppError> {
        if let Some(name) = PRESETS.iter().find(|name| **name == named) {
            return Ok(Self::Own(name, preset_text(name).unwrap_or_default()));
        }
        if let Some(name) = PROFILES.iter().find(|name| **name == named) {
            return Ok(Self::Own(name, profile_text(name).unwrap_or_default()));
        }
        if named == USER {
            return policies::own()?.map(Self::File).ok_or_else(no_lines);
        }
        let path = Path::new(named);
        if path.file_name().is_some_and(|name| name == PROJECT_FILE) {
            let folder = path.parent().unwrap_or(Path::new(""));
            if let Some(file) = policies::of_project(folder)? {
                return Ok(Self::Project(PolicyFile {
                    shown: named.to_owned(),
                    ..file
                }));
            }
        }
        if !path.exists() && !named.contains(['.', '/']) {
            return Err(AppError::usage(
                format!("there is no policy `{named}`, and no file of that name"),
                format!(
                    "presets: {}; profiles: {}; `{USER}` is your own lines",
                    PRESETS.join(", "),
                    PROFILES.join(", ")
                ),
            ));
        }
        PolicyFile::read(path).map(Self::File)
    }

    fn text(&self) -> &str {
        match self {
            Self::Own(_, text) => text,
            Self::File(file) | Self::Project(file) => &file.text,
        }
    }

    fn source(&self) -> Source<'_> {
        match self {
            Self::Own(name, text) => Source {
                name,
                file: name,
                text,
                syntax: Syntax::Toml,
            },
            Self::File(file) | Self::Project(file) => file.source(),
        }
    }

    /// The policy, or everything that is wrong with it.
    fn load(&self) -> Result<Policy, Vec<PolicyError>> {
        match self {
            Self::Own(..) | Self::File(_) => Policy::read_all(&self.source()),
            Self::Project(file) => Policy::parse("repository", "")
                .and_then(|nothing| nothing.restricted(&file.source()))
                .map_err(|error| vec![error]),
        }
    }
}

fn no_lines() -> AppError {
    let path = policies::user_file().map_or_else(
        || "your configuration folder".to_owned(),
        |path| path.display().to_string(),
    );
    AppError::usage(
        format!("you have no lines of your own: there is no {path}"),
        "answers that you save in a run are written there; you can write it by hand, too",
    )
}

fn show(args: &cli::Show) -> Result<Exit, AppError> {
    let Some(name) = &args.name else {
        print::out(&format!(
            "presets   {}\nprofiles  {}\n",
            PRESETS.join(", "),
            PROFILES.join(", ")
        ));
        if let Some(path) = policies::user_file() {
            let state = if path.exists() { "" } else { " (not there)" };
            print::out(&format!("user      {}{state}\n", path.display()));
        }
        return Ok(Exit::Fine);
    };
    let found = Named::find(name)?;
    if let Named::File(file) | Named::Project(file) = &found {
        print::error(&format!("{}:", file.path.display()));
    }
    print::out(found.text());
    Ok(Exit::Fine)
}
