//! `belljar export`: flags as typed, and their help.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  belljar export run.bjt -o run.html                     a page that replays it
  belljar export run.bjt -o run.cast --speed 4           for asciinema's players
  belljar export run.bjt -o run.gif --speed 8 --size 100x30
  belljar export run.bjt -o run.svg --keys 'End'         a picture of its end
  belljar export run.bjt -o run.svg --animate --size 100x30
  belljar export run.bjt -o run.html --keys '1s ] 2s Enter 3s Esc ] 2s'

Keys are those of the screen, typed one after the other; 1.5s waits. Enter, Esc,
Tab, Space, Up, Down, Left, Right, Home, End, PageUp, PageDown and Backspace are
named, other words are typed letter by letter. The film ends when the keys are
used up and the recording stands.")]
pub(crate) struct Export {
    /// The trace.
    pub(crate) trace: PathBuf,
    /// Where to write: the ending says what (.svg, .gif, .cast or .html). It must not exist yet.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Columns and rows.
    #[arg(long, value_name = "COLSxROWS", default_value = "120x36")]
    pub(crate) size: crate::export::Size,
    /// Keys to press, with pauses.
    #[arg(long, value_name = "KEYS", default_value = "")]
    pub(crate) keys: crate::export::Script,
    /// Play so many times faster: 1, 2, 4, 8, 16, 32 or 64.
    #[arg(long, default_value = "1", value_parser = ["1", "2", "4", "8", "16", "32", "64"])]
    pub(crate) speed: String,
    /// Longest pause, in seconds of the recording.
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    pub(crate) idle: f64,
    /// Pictures a second.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=30))]
    pub(crate) rate: u32,
    /// Start at this second of the recording, paused.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) at: Option<f64>,
    /// Of an .svg: the whole film, not its last picture.
    #[arg(long)]
    pub(crate) animate: bool,
    /// What it is called.
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,
    #[command(flatten)]
    pub(crate) rules: super::RuleArgs,
}
