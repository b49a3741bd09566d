//! `belljar traces`: flags as typed, and their help.

use clap::{Args, Subcommand};

use super::Format;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  belljar traces list\n  belljar traces rm 1700000000-left-padded\n  belljar traces gc --keep 20\n  belljar traces gc --older 30d --dry-run"
)]
pub(crate) struct Traces {
    #[command(subcommand)]
    pub(crate) command: TracesCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TracesCommand {
    /// List the traces, the newest first, with what they amount to.
    List {
        /// Do not judge: quick, but without verdicts.
        #[arg(long)]
        quick: bool,
        /// How to print it (table or json).
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
    },
    /// Remove traces by name.
    Rm {
        /// Names as `list` shows them.
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Remove old traces.
    #[command(group = clap::ArgGroup::new("which").required(true))]
    Gc {
        /// Keep so many of the newest.
        #[arg(long, group = "which", value_name = "N")]
        keep: Option<usize>,
        /// Remove those older than this (12h, 30d).
        #[arg(long, group = "which", value_name = "AGE", value_parser = age)]
        older: Option<std::time::Duration>,
        /// Say what would be removed, and remove nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

/// `30d`, `12h`, `90m`, `10s`.
fn age(text: &str) -> Result<std::time::Duration, String> {
    let (number, unit) = match text.char_indices().last() {
        Some((at, 'd')) => (text.get(..at), 24 * 3600),
        Some((at, 'h')) => (text.get(..at), 3600),
        Some((at, 'm')) => (text.get(..at), 60),
        Some((at, 's')) => (text.get(..at), 1),
        _ => (None, 1),
    };
    number
        .and_then(|n| n.parse::<u64>().ok())
        .and_then(|n| n.checked_mul(unit))
        .map(std::time::Duration::from_secs)
        .ok_or_else(|| format!("{text:?} is no age; write 30d, 12h or 90m"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        assert_eq!(age("30d"), Ok(std::time::Duration::from_secs(30 * 86_400)));
        for wrong in ["", "d", "30", "-1d", "99999999999999999999d", "1y"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }
}
