//! Casts in terminals that belljar has no part in: the last screen is ours, cell by
//! cell, with its colours.

use alacritty_terminal::Term;
use alacritty_terminal::event::VoidListener;
use alacritty_terminal::index::{Column, Line};
use alacritty_terminal::term::cell::Flags;
use alacritty_terminal::term::test::TermSize;
use alacritty_terminal::vte::ansi::{Color as Ansi, NamedColor, Processor};
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

use super::*;

/// What stands in a cell, whoever says so.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    text: String,
    fg: Colour,
    bg: Colour,
    /// Bold, dim, italic, underlined, reversed, crossed out.
    marks: [bool; 6],
}

#[derive(Debug, PartialEq, Eq)]
enum Colour {
    Own,
    Number(u8),
    Rgb(u8, u8, u8),
}

/// The bytes that a terminal is sent by a cast.
fn sent(cast: &str) -> String {
    let lines = cast.lines().skip(1);
    let events = lines.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let outputs = events.filter(|event| event[1] == "o");
    outputs
        .map(|event| event[2].as_str().unwrap().to_owned())
        .collect()
}

fn ours(cells: &Buffer) -> Vec<Vec<Seen>> {
    let colour = |colour| match colour {
        Color::Reset => Colour::Own,
        Color::Rgb(red, green, blue) => Colour::Rgb(red, green, blue),
        Color::Indexed(number) => Colour::Number(number),
        named => Colour::Number(
            [
                Color::Black,
                Color::Red,
                Color::Green,
                Color::Yellow,
                Color::Blue,
                Color::Magenta,
                Color::Cyan,
                Color::Gray,
                Color::DarkGray,
                Color::LightRed,
                Color::LightGreen,
                Color::LightYellow,
                Color::LightBlue,
                Color::LightMagenta,
                Color::LightCyan,
                Color::White,
            ]
            .iter()
            .position(|one| *one == named)
            .unwrap() as u8,
        ),
    };
    let marks = [
        Modifier::BOLD,
        Modifier::DIM,
        Modifier::ITALIC,
        Modifier::UNDERLINED,
        Modifier::REVERSED,
        Modifier::CROSSED_OUT,
    ];
    let row = |row| {
        let mut skip = 0;
        let mut seen = Vec::new();
        for column in 0..cells.area.width {
            let cell = &cells[(column, row)];
            // A wide character takes the next cell with it.
            if skip > 0 {
                skip -= 1;
                continue;
            }
            skip = crate::screen::width(cell.symbol()).saturating_sub(1);
            seen.push(Seen {
                text: cell.symbol().to_owned(),
                fg: colour(cell.fg),
                bg: colour(cell.bg),
                marks: marks.map(|mark| cell.modifier.contains(mark)),
            });
        }
        seen
    };
    (0..cells.area.height).map(row).collect()
}

fn in_avt(size: Size, bytes: &str) -> Vec<Vec<Seen>> {
    let (columns, rows) = (usize::from(size.columns), usize::from(size.rows));
    let mut terminal = avt::Terminal::new(columns, rows).unwrap();
    terminal.feed(bytes);
    let colour = |colour: Option<avt::Color>| match colour {
        None => Colour::Own,
        Some(avt::Color::Indexed(number)) => Colour::Number(number),
        Some(avt::Color::RGB(rgb)) => Colour::Rgb(rgb.r, rgb.g, rgb.b),
    };
    let row = |row| {
        let line = terminal.screen().line(row).unwrap();
        let cells = line.cells().iter().filter(|cell| cell.width() > 0);
        let seen = cells.map(|cell| {
            let pen = cell.pen();
            Seen {
                text: cell.char().to_string(),
                fg: colour(pen.foreground()),
                bg: colour(pen.background()),
                marks: [
                    pen.is_bold(),
                    pen.is_faint(),
                    pen.is_italic(),
                    pen.is_underline(),
                    pen.is_inverse(),
                    pen.is_strikethrough(),
                ],
            }
        });
        seen.collect()
    };
    (0..rows).map(row).collect()
}

fn in_alacritty(size: Size, bytes: &str) -> Vec<Vec<Seen>> {
    let (columns, rows) = (usize::from(size.columns), usize::from(size.rows));
    let room = TermSize::new(columns, rows);
    let mut terminal = Term::new(Default::default(), &room, VoidListener);
    let mut parser: Processor = Processor::new();
    parser.advance(&mut terminal, bytes.as_bytes());
    let colour = |colour: Ansi| match colour {
        Ansi::Named(NamedColor::Foreground | NamedColor::Background) => Colour::Own,
        Ansi::Named(named) => Colour::Number(named as u8),
        Ansi::Indexed(number) => Colour::Number(number),
        Ansi::Spec(rgb) => Colour::Rgb(rgb.r, rgb.g, rgb.b),
    };
    let marks = [
        Flags::BOLD,
        Flags::DIM,
        Flags::ITALIC,
        Flags::UNDERLINE,
        Flags::INVERSE,
        Flags::STRIKEOUT,
    ];
    let row = |row: usize| {
        let line = &terminal.grid()[Line(row as i32)];
        let cells = (0..columns).map(|column| &line[Column(column)]);
        let cells = cells.filter(|cell| !cell.flags.contains(Flags::WIDE_CHAR_SPACER));
        let seen = cells.map(|cell| {
            let mut text = cell.c.to_string();
            text.extend(cell.zerowidth().unwrap_or_default());
            Seen {
                text,
                fg: colour(cell.fg),
                bg: colour(cell.bg),
                marks: marks.map(|mark| cell.flags.contains(mark)),
            }
        });
        seen.collect()
    };
    (0..rows).map(row).collect()
}

fn hostile() -> Model {
    let mut model = crate::screen::tests::model(crate::screen::Mode::Replay, "dark");
    update(&mut model, Msg::Entries(story::unfinished()));
    let cut = Integrity::Cut {
        entries: 1,
        byte: 1,
        why: "it ends in the middle".into(),
    };
    update(&mut model, Msg::SourceEnded(cut));
    model
}

/// The cast of a film, and our own last picture of it.
fn played(film: &Film, model: &Model) -> (String, Buffer) {
    let mut bytes = Vec::new();
    cast(film, model.clone(), "a run", &mut bytes).unwrap();
    let mut last = None;
    film.play(model.clone(), &mut |frame| last = Some(frame.cells));
    (sent(&String::from_utf8(bytes).unwrap()), last.unwrap())
}

#[test]
fn a_cast_is_our_screen_in_two_other_terminals() {
    // Panes, details, help, a filter, the output; wide and narrow; a hostile guest.
    let scripts = [
        "End",
        "] Enter 1s",
        "End e 1s ?",
        "End /evt.type Space = Space open Enter 1s",
    ];
    for (name, model) in [
        ("theft", model()),
        ("light", themed("light")),
        ("hostile", hostile()),
    ] {
        for script in scripts {
            for size in ["100x30", "80x24", "200x60"] {
                let film = Film {
                    size: size.parse().unwrap(),
                    rate: 2,
                    ..film(script)
                };
                let (sent, cells) = played(&film, &model);
                let ours = ours(&cells);
                for (terminal, theirs) in [
                    ("avt", in_avt(film.size, &sent)),
                    ("alacritty", in_alacritty(film.size, &sent)),
                ] {
                    assert_eq!(theirs.len(), ours.len());
                    for (row, (theirs, ours)) in theirs.iter().zip(&ours).enumerate() {
                        assert_eq!(
                            theirs, ours,
                            "{name} {script:?} {size} {terminal} row {row}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn what_a_guest_says_is_escaped_in_every_format() {
    let film = Film {
        size: "160x50".parse().unwrap(),
        rate: 2,
        // The last finding is about the program with the odd name.
        ..film("End Tab Tab Tab G Enter 1s")
    };
    let mut bytes = Vec::new();
    cast(&film, hostile(), "a run", &mut bytes).unwrap();
    let cast = sent(&String::from_utf8(bytes).unwrap());
    let texts = [
        ("cast", cast),
        ("svg", still(&film, hostile(), &dark(), "a run")),
        ("animated svg", animated(&film, hostile(), &dark(), "a run")),
        ("html", html(&film, hostile(), &dark(), "a run")),
    ];
    for (name, text) in &texts {
        // The name of a file and the title of a terminal, as the guest wrote them.
        for wrong in ["\u{202e}", "\u{200b}", "\u{7}", "\x1b]0;", "\x1b]52"] {
            assert!(!text.contains(wrong), "{wrong:?} in the {name}");
        }
        assert!(text.contains("x1b"), "shown in the {name}");
    }
    // Of the cast nothing else than what moves and colours.
    let (_, text) = &texts[0];
    for part in text.split('\x1b').skip(1) {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).unwrap();
        let (how, what) = part.split_at(end);
        assert!(
            how.starts_with('[') && "HmJlh".contains(&what[..1]),
            "ESC{how}{}",
            &what[..1]
        );
    }
}

#[test]
fn a_gif_is_the_film_in_points() {
    let film = Film {
        size: "80x24".parse().unwrap(),
        rate: 2,
        ..film("End")
    };
    let made = || {
        let mut bytes = Vec::new();
        animation(&film, model(), &dark(), "a run", &mut bytes).unwrap();
        bytes
    };
    let bytes = made();
    assert_eq!(bytes, made(), "the same every time");
    let mut times = Vec::new();
    let (_, end) = film.play(model(), &mut |frame| times.push(frame.at / 10_000_000));
    times.push(end / 10_000_000);
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    let mut decoder = options.read_info(bytes.as_slice()).unwrap();
    assert_eq!(
        (decoder.width(), decoder.height()),
        (80 * 9 + 18, 24 * 18 + 18)
    );
    assert_eq!(decoder.repeat(), gif::Repeat::Infinite);
    let (wide, mut points) = (decoder.width(), Vec::new());
    let mut delays = Vec::new();
    while let Some(frame) = decoder.read_next_frame().unwrap() {
        delays.push(u64::from(frame.delay));
        if points.is_empty() {
            points = frame.buffer.to_vec();
            continue;
        }
        for (row, line) in frame
            .buffer
            .chunks(usize::from(frame.width) * 4)
            .enumerate()
        {
            let at = (usize::from(frame.top) + row) * usize::from(wide) + usize::from(frame.left);
            points[at * 4..at * 4 + line.len()].copy_from_slice(line);
        }
    }
    let wanted: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(delays, wanted);
    // Laid over each other the parts are the last picture, drawn at once.
    let mut last = Vec::new();
    let still = Film {
        script: "End".parse().unwrap(),
        ..film.clone()
    };
    let mut shown = None;
    still.play(model(), &mut |frame| shown = Some(frame.cells));
    super::super::animation::picture_of(&shown.unwrap(), &dark(), &mut last);
    assert!(points == last, "the last picture is another");
}
