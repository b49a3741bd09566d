//! `belljar`: runs code nobody trusts yet in a disposable machine, shows what it
//! does, records it, and replays the recording.
//!
//! Owns: the command line, the terminal, threads, exit codes. The only crate
//! that knows a terminal.

mod cli;
mod commands;
mod date;
#[cfg(target_os = "linux")]
mod decoys;
mod error;
mod exit;
mod export;
#[cfg(target_os = "linux")]
mod guest;
#[cfg(target_os = "linux")]
mod live;
mod policies;
mod print;
#[cfg(target_os = "linux")]
mod project;
#[cfg(target_os = "linux")]
mod random;
mod screen;
mod ways;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let plain = cli.no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match commands::theme(cli.theme.as_deref(), plain).and_then(|theme| obey(cli.command, theme)) {
        Ok(exit) => exit.into(),
        Err(error) => {
            print::error(&error.present());
            error.exit().into()
        }
    }
}

fn obey(command: cli::Command, theme: screen::Theme) -> Result<exit::Exit, error::AppError> {
    match command {
        cli::Command::Run(args) => commands::run(&args, theme),
        cli::Command::Npm(args) => commands::npm(&args, theme),
        cli::Command::Pip(args) => commands::pip(&args, theme),
        cli::Command::Replay(args) => commands::replay(&args, theme),
        cli::Command::Report(args) => commands::report(&args),
        cli::Command::Events(args) => commands::events(&args),
        cli::Command::Verify(args) => commands::verify(&args),
        cli::Command::Rescore(args) => commands::rescore(&args),
        cli::Command::Diff(args) => commands::diff(&args, theme),
        cli::Command::Test(args) => commands::corpus_test(&args),
        cli::Command::Redact(args) => commands::redact(&args),
        cli::Command::Cut(args) => commands::cut(&args),
        cli::Command::Export(args) => commands::export(&args, theme),
        cli::Command::Demo(args) => commands::demo(&args, theme),
        cli::Command::Policy(args) => commands::policy(&args),
        cli::Command::Traces(args) => commands::traces(&args),
        cli::Command::Baseline(args) => commands::baseline(&args),
        cli::Command::Rules(args) => commands::rules(&args),
        cli::Command::Image(args) => commands::image(&args),
        cli::Command::Doctor(args) => commands::doctor(&args),
    }
}
