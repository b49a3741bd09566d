//! The picture, as a pure function of the model. One file a pane.
//!
//! ```text
//!  belljar  label · command                  ● rec 0:07.4  1,284 ev/s  lost 0   header
//!  ▲ WARNING  2 findings  ◆ enforced  qemu · kvm
//! ╭ processes ───────╮╭ files ──────────╮╭ network ─────────╮
//! │                  ││                 ││                  │
//! ╰──────────────────╯╰─────────────────╯╰──────────────────╯
//! ╭ findings, or output ────────────────────────────────────╮
//! ╰─────────────────────────────────────────────────────────╯
//!  0:00 ▁▂▇▅▂▁▁▲▁▁ 0:07                          following ●                     timeline
//!  Enter open  Tab pane  space play/pause                                        footer
//! ```
//! Owns: drawing. Must not: change the model, name a colour, or show guest text
//! that was not escaped where the rows were made.

mod events;
mod files;
mod findings;
pub(super) mod footer;
mod header;
mod network;
mod output;
mod overlay;
pub(super) mod paint;
mod palette;
mod processes;
mod prompt;
mod question;
mod rules;
mod timeline;

use ratatui::Frame;
use ratatui::layout::{Position, Rect};

use super::layout::inner;
use super::model::{Model, Pane};
use super::player::Motion;
use super::text::{cut, grouped, width};
use super::theme::Role;
use super::verdict;
pub(super) use overlay::boxed;
use paint::Paint;
pub(super) use prompt::typed as typed_line;
pub(super) use question::{answered, outcome, rows as question_rows};
pub(super) use timeline::strip;

/// Draws the whole screen.
pub(crate) fn view(model: &Model, frame: &mut Frame<'_>) {
    let mut paint = Paint::new(frame.buffer_mut(), &model.setup.theme);
    paint.ground();
    if model.layout.tiny {
        too_small(model, &mut paint);
        return;
    }
    header::draw(model, &mut paint);
    if let Some(row) = model.layout.rules {
        rules::draw(model, row, &mut paint);
    }
    if let Some(row) = model.layout.tabs {
        tabs(model, row, &mut paint);
    }
    for (pane, rect) in &model.layout.panes {
        draw_pane(model, *pane, *rect, &mut paint);
    }
    if let Some(open) = &model.overlay {
        overlay::draw(model, open, &mut paint);
    }
    question::draw(model, &mut paint);
    if let Some(open) = &model.palette {
        palette::draw(open, model.layout.overlay, &mut paint);
    }
    let typed = match model.asking.typed() {
        Some(line) => Some((" line: ", line)),
        None => model.prompt.as_ref().map(|prompt| match prompt.noted() {
            Some(_) => (" note: ", prompt),
            None => (" filter: ", prompt),
        }),
    };
    match typed {
        Some((head, prompt)) => prompt::draw(model, (head, prompt), &mut paint),
        None => {
            timeline::draw(model, model.layout.timeline, &mut paint);
            footer::draw(model, model.layout.footer, &mut paint);
        }
    }
}

fn too_small(model: &Model, paint: &mut Paint<'_>) {
    let standing = verdict::standing(model.facts.verdict, model.facts.over);
    let row = Rect {
        height: model.layout.area.height.min(1),
        ..model.layout.area
    };
    let text = format!(
        "{} {} · enlarge the terminal",
        standing.glyph, standing.word
    );
    paint.spans(row, &[(standing.role, text)]);
}

fn draw_pane(model: &Model, pane: Pane, rect: Rect, paint: &mut Paint<'_>) {
    let room = usize::from(rect.width).saturating_sub(4);
    let aside = aside(model, pane);
    let taken = aside.as_ref().map_or(0, |aside| width(aside) + 3);
    let left = room.saturating_sub(taken.min(room / 2));
    let title = match count(model, pane, left) {
        Some(count) => format!("{} {count}", pane.title()),
        None => pane.title().to_owned(),
    };
    let title = match aside {
        Some(aside) => cut(&format!("{title} · {aside}"), room).into_owned(),
        None => title,
    };
    paint.frame(rect, &title, model.focus == pane);
    let rect = inner(rect);
    if model.rows.len(pane) == 0 {
        empty(model, pane, rect, paint);
        return;
    }
    match pane {
        Pane::Processes => processes::draw(model, rect, paint),
        Pane::Files => files::draw(model, rect, paint),
        Pane::Network => network::draw(model, rect, paint),
        Pane::Findings => findings::draw(model, rect, paint),
        Pane::Events => events::draw(model, rect, paint),
        Pane::Output => output::draw(model, rect, paint),
        Pane::Timeline => {}
    }
}

/// What else has to be known of what a pane shows.
fn aside(model: &Model, pane: Pane) -> Option<String> {
    let behind = match pane {
        Pane::Output => model.output.held,
        Pane::Events => model.event.is_some(),
        _ => false,
    };
    match (pane, &model.only) {
        (Pane::Files | Pane::Network | Pane::Events, Some(only)) => {
            let position = model.player.position();
            Some(match only.percent(position) {
                Some(percent) => format!("of {} {percent} %", only.name),
                None => format!("of {}", only.name),
            })
        }
        // A list that was scrolled no longer goes along with what comes.
        _ if behind && model.is_open() && model.player.motion() == Motion::Following => {
            Some("❚❚ held, G follows".to_owned())
        }
        _ => None,
    }
}

/// The number behind a pane's title.
fn count(model: &Model, pane: Pane, room: usize) -> Option<String> {
    let counts = &model.facts.counts;
    match pane {
        Pane::Processes if counts.processes > 0 => Some(format!(
            "{} · {} running",
            grouped(counts.processes),
            grouped(counts.running)
        )),
        Pane::Files if counts.files > 0 => {
            let only = model
                .only
                .as_ref()
                .map(|only| only.session().counts().files);
            Some(grouped(only.unwrap_or(counts.files)))
        }
        Pane::Network if !model.rows.network.is_empty() => {
            Some(grouped(model.rows.network.len() as u64))
        }
        Pane::Findings if counts.findings > 0 => Some(grouped(counts.findings)),
        Pane::Events => events::count(model, room),
        _ => None,
    }
}

/// No dead ends: an empty pane says what it waits for.
fn empty(model: &Model, pane: Pane, rect: Rect, paint: &mut Paint<'_>) {
    let yet = if model.facts.over { "" } else { " yet" };
    let text = match (&model.stage, pane) {
        (Some((stage, waited)), _) => header::stage(stage, *waited),
        (None, Pane::Processes) => format!("no process{yet}"),
        (None, Pane::Files) => format!("no file touched{yet}"),
        (None, Pane::Network) => format!("nothing wanted out{yet}"),
        (None, Pane::Findings) => format!("no finding{yet}"),
        (None, Pane::Events) if model.filter.is_none() && model.only.is_some() => {
            "no event of this process before this moment; f shows all".to_owned()
        }
        (None, Pane::Events) if model.filter.is_some() => {
            "no event before this moment matches; n goes to the next that does, Esc clears the filter".to_owned()
        }
        (None, Pane::Events) => format!("no event{yet}"),
        (None, Pane::Output | Pane::Timeline) => format!("nothing written{yet}"),
    };
    paint.spans(
        Rect {
            height: rect.height.min(1),
            ..rect
        },
        &[(Role::Muted, format!(" {text}"))],
    );
}

/// One row that names all panes, where only one of them is visible.
fn tabs(model: &Model, row: Rect, paint: &mut Paint<'_>) {
    let mut spans = vec![(Role::Muted, " ".to_owned())];
    for (_, role, text) in names(model, row) {
        spans.push((role, text));
        spans.push((Role::Muted, " ".to_owned()));
    }
    paint.spans(row, &spans);
}

/// The names of the panes in that row.
fn names(model: &Model, row: Rect) -> Vec<(Pane, Role, String)> {
    let visible = model.layout.panes.first().map(|(pane, _)| *pane);
    let compact = row.width < 80;
    let name = |pane: Pane| {
        let here = Some(pane) == visible && model.focus != Pane::Timeline || pane == model.focus;
        let role = if here { Role::TitleFocus } else { Role::Title };
        let name = if compact {
            pane.title().get(..4).unwrap_or(pane.title())
        } else {
            pane.title()
        };
        let count = match pane {
            Pane::Findings if model.facts.counts.findings > 0 => {
                format!(" {}", grouped(model.facts.counts.findings))
            }
            _ => String::new(),
        };
        let text = if here {
            format!("[{name}{count}]")
        } else {
            format!(" {name}{count} ")
        };
        (pane, role, text)
    };
    Pane::ALL.into_iter().map(name).collect()
}

/// The pane that is named there.
pub(super) fn tab_at(model: &Model, at: Position) -> Option<Pane> {
    let row = model.layout.tabs.filter(|row| row.contains(at))?;
    let mut end = usize::from(row.x) + 1;
    let mut names = names(model, row).into_iter();
    let found = names.find(|(_, _, text)| {
        end += width(text) + 1;
        usize::from(at.x) + 1 < end
    });
    found.map(|(pane, _, _)| pane)
}
