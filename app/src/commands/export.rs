//! `belljar export`: the screen as a picture, a film or a page.

use std::io::{BufWriter, Read, Write};
use std::sync::Arc;

use belljar_recorder::Reader;
use belljar_replay::escape;
use belljar_replay::rules::RuleSet;

use super::{open, replay, written};
use crate::cli;
use crate::error::AppError;
use crate::exit::Exit;
use crate::export::{Film, animated, animation, cast, html, still};
use crate::print;
use crate::screen::{self, Model, Msg, Theme, update};

/// Entries a message.
const BATCH: usize = 4096;

pub(crate) fn export(args: &cli::Export, theme: Theme) -> Result<Exit, AppError> {
    let kind = kind(args)?;
    let at = args.at.map(replay::nanos).transpose()?;
    let rules = super::rules::loaded(&args.rules)?;
    let Shown {
        model,
        title,
        whole,
    } = shown(
        open(&args.trace)?,
        theme.clone(),
        (at, Some(replay::pause(args.idle)?)),
        rules,
    );
    let title = args.title.clone().unwrap_or(title);
    let film = Film {
        size: args.size,
        script: args.keys.clone(),
        rate: args.rate,
        // 1, 2, 4 … 64
        doublings: args.speed.parse::<u32>().unwrap_or(1).ilog2(),
    };
    written(&args.output, |file| {
        let mut out = BufWriter::new(file);
        let made = match kind {
            Kind::Gif => animation(&film, model, &theme, &title, &mut out),
            Kind::Cast => cast(&film, model, &title, &mut out),
            Kind::Still => out.write_all(still(&film, model, &theme, &title).as_bytes()),
            Kind::Animated => out.write_all(animated(&film, model, &theme, &title).as_bytes()),
            Kind::Html => out.write_all(html(&film, model, &theme, &title).as_bytes()),
        };
        made.and_then(|()| out.flush())
            .map_err(|source| AppError::file("write", &args.output, source))
    })?;
    print::out(&format!("{}\n", args.output.display()));
    Ok(if whole { Exit::Fine } else { Exit::Damaged })
}

/// A trace on the screen.
pub(crate) struct Shown {
    pub(crate) model: Model,
    /// What it is called where nobody says otherwise.
    pub(crate) title: String,
    pub(crate) whole: bool,
}

/// Reads a trace to its end, onto a screen that stands at its beginning.
/// `at` and `idle`: where it starts, and its longest pause.
pub(crate) fn shown<R: Read>(
    mut reader: Reader<R>,
    theme: Theme,
    (at, idle): (Option<u64>, Option<u64>),
    rules: Arc<RuleSet>,
) -> Shown {
    let start = reader.start().clone();
    let words: Vec<_> = start.command.iter().map(escape::text).collect();
    let title = format!("{}: {}", escape::string(&start.label), words.join(" "));
    let mut model = Model::new(screen::Setup {
        at,
        idle,
        ..screen::Setup::new(screen::Mode::Replay, start, rules, theme)
    });
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(Ok(entry)) = reader.next() {
        batch.push(entry);
        if batch.len() == BATCH {
            update(&mut model, Msg::Entries(std::mem::take(&mut batch)));
        }
    }
    update(&mut model, Msg::Entries(batch));
    let integrity = reader.integrity();
    let whole = integrity.is_complete();
    update(&mut model, Msg::SourceEnded(integrity));
    Shown {
        model,
        title,
        whole,
    }
}

enum Kind {
    Cast,
    Gif,
    Still,
    Animated,
    Html,
}

fn kind(args: &cli::Export) -> Result<Kind, AppError> {
    let ending = args.output.extension().and_then(|ending| ending.to_str());
    match (ending, args.animate) {
        (Some("cast"), false) => Ok(Kind::Cast),
        (Some("gif"), false) => Ok(Kind::Gif),
        (Some("svg"), false) => Ok(Kind::Still),
        (Some("svg"), true) => Ok(Kind::Animated),
        (Some("html" | "htm"), false) => Ok(Kind::Html),
        (Some("cast" | "gif" | "html" | "htm"), true) => Err(AppError::usage(
            "--animate is for .svg: the others move anyway",
            "leave it out",
        )),
        _ => Err(AppError::usage(
            format!("{}: what to write?", args.output.display()),
            "name a file that ends in .svg, .gif, .cast or .html",
        )),
    }
}
