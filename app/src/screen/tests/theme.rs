//! Theme files, and that nobody else names a colour.

use std::path::Path;

use ratatui::style::Color;

use crate::screen::theme::{Role, THEMES, Theme, ThemeError};

#[test]
fn built_in_themes_load() {
    for (name, text) in THEMES {
        let theme = Theme::parse(name, text).unwrap();
        assert_eq!(theme.name(), *name);
    }
}

#[test]
fn coloured_themes_speak_of_every_role() {
    for name in ["dark", "light", "high-contrast", "colour-blind"] {
        let theme = Theme::named(name).unwrap();
        for (role, role_name) in Role::ALL {
            let style = theme.style(*role);
            assert!(
                style.fg.is_some() || style.bg.is_some(),
                "{name} leaves out {role_name}"
            );
        }
    }
}

#[test]
fn mono_has_no_colour() {
    let theme = Theme::mono();
    for (role, _) in Role::ALL {
        let style = theme.style(*role);
        assert_eq!((style.fg, style.bg), (None, None), "{role:?}");
    }
}

#[test]
fn a_partial_file_stands_on_its_base() {
    let text = "base = \"dark\"\n[role]\ndanger = { fg = \"#ff0000\", underline = true }\n";
    let theme = Theme::parse("mine", text).unwrap();
    assert_eq!(theme.style(Role::Danger).fg, Some(Color::Rgb(255, 0, 0)));
    assert_eq!(
        theme.style(Role::Good),
        Theme::named("dark").unwrap().style(Role::Good)
    );
}

#[test]
fn what_does_not_exist_is_said() {
    let parse = |text| Theme::parse("mine", text).unwrap_err();
    assert!(
        matches!(parse("[role]\ndangr = {}\n"), ThemeError::Role { role, .. } if role == "dangr")
    );
    let colour = parse("[role]\ndanger = { fg = \"rot\" }\n");
    assert!(matches!(colour, ThemeError::Colour { colour, .. } if colour == "rot"));
    assert!(matches!(
        parse("base = \"dusk\"\n"),
        ThemeError::Shape { .. }
    ));
    assert!(matches!(
        parse("[role]\ndanger = { bld = true }\n"),
        ThemeError::Shape { .. }
    ));
    assert!(matches!(parse("nonsense"), ThemeError::Shape { .. }));
}

/// Red, green and blue between 0 and 1, in linear light.
fn light(colour: Color) -> [f64; 3] {
    let (red, green, blue) = crate::export::rgb(colour);
    [red, green, blue].map(|part| {
        let part = f64::from(part) / 255.0;
        if part <= 0.04045 {
            part / 12.92
        } else {
            ((part + 0.055) / 1.055).powf(2.4)
        }
    })
}

/// The contrast of WCAG 2.
fn contrast(one: Color, other: Color) -> f64 {
    let luminance = |colour| {
        let [red, green, blue] = light(colour);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    };
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn what_is_written_can_be_read() {
    let dark = Color::Rgb(0x14, 0x16, 0x1b);
    let pages = [
        ("dark", dark, 3.0),
        ("light", Color::Rgb(0xfb, 0xfb, 0xf8), 3.0),
        ("colour-blind", dark, 3.0),
        ("high-contrast", Color::Rgb(0, 0, 0), 7.0),
    ];
    for (name, page, least) in pages {
        let theme = Theme::named(name).unwrap();
        for (role, role_name) in Role::ALL {
            let style = theme.style(*role);
            let quiet = matches!(role, Role::Faint | Role::Border) && name != "high-contrast";
            let (Some(fg), false) = (style.fg, quiet) else {
                continue;
            };
            let bg = style.bg.unwrap_or(page);
            let has = contrast(fg, bg);
            assert!(has >= least, "{name}: {role_name} has {has:.1}");
        }
    }
}

/// As somebody without red or green cones sees it (Viénot, Brettel and Mollon 1999).
fn without(cone: &str, colour: Color) -> [f64; 3] {
    let [red, green, blue] = light(colour);
    match cone {
        "red" => {
            let both = 0.11238 * red + 0.88762 * green;
            [both, both, 0.00401 * red - 0.00401 * green + blue]
        }
        _ => {
            let both = 0.29275 * red + 0.70725 * green;
            [both, both, -0.02234 * red + 0.02234 * green + blue]
        }
    }
}

#[test]
fn states_differ_without_red_or_green() {
    let theme = Theme::named("colour-blind").unwrap();
    let roles = [Role::Danger, Role::Warning, Role::Good, Role::Decoy];
    for cone in ["red", "green"] {
        for (at, one) in roles.iter().enumerate() {
            for other in &roles[at + 1..] {
                let see = |role: &Role| without(cone, theme.style(*role).fg.unwrap());
                let (one_seen, other_seen) = (see(one), see(other));
                let apart: f64 = one_seen
                    .iter()
                    .zip(other_seen)
                    .map(|(one, other)| (one - other).powi(2))
                    .sum::<f64>()
                    .sqrt();
                assert!(
                    apart > 0.12,
                    "{one:?} and {other:?} without {cone}: {apart:.2}"
                );
            }
        }
    }
}

#[test]
fn themes_of_other_programs_are_taken_in() {
    let names = [
        "00", "01", "02", "03", "04", "05", "06", "07", "08", "09", "0A", "0B", "0C", "0D", "0E",
        "0F",
    ];
    let colours = |indent: &str| -> String {
        let line = |(at, name): (usize, &&str)| {
            let name = name.trim_start_matches('0');
            let name = if name.is_empty() { "0" } else { name };
            format!("{indent}base0{name}: \"{:02x}2233\"\n", at * 16)
        };
        names.iter().enumerate().map(line).collect()
    };
    for text in [
        format!("scheme: mine\nauthor: me\n{}", colours("")),
        format!("system: base16\nname: mine\npalette:\n{}", colours("  ")),
    ] {
        let theme = Theme::parse_any("mine", &text, None).unwrap();
        assert_eq!(
            theme.style(Role::Danger).fg,
            Some(Color::Rgb(0x80, 0x22, 0x33))
        );
        assert_eq!(theme.style(Role::Text).bg, Some(Color::Rgb(0, 0x22, 0x33)));
    }
    let palette = |blue: &str| {
        let names = [
            "text", "subtext0", "subtext1", "overlay0", "surface1", "surface2", "base", "red",
            "peach", "yellow", "green", "teal", "mauve",
        ];
        let mut all: Vec<String> = names
            .iter()
            .map(|name| format!("\"{name}\": {{\"hex\": \"#102030\"}}"))
            .collect();
        all.push(format!("\"blue\": {{\"hex\": \"{blue}\"}}"));
        format!(
            "{{\"version\": \"1\", \"mocha\": {{\"colors\": {{{}}}}}}}",
            all.join(",")
        )
    };
    let mocha = Theme::parse_any("c#mocha", &palette("#0000ff"), Some("mocha")).unwrap();
    assert_eq!(mocha.style(Role::Key).fg, Some(Color::Rgb(0, 0, 255)));
    let missing = Theme::parse_any("c", &palette("#0000ff"), None).unwrap_err();
    assert!(missing.to_string().contains("mocha"), "{missing}");
    // A colour is a colour and cannot write anything else into the theme.
    let forged = palette("#0000ff\\\" }");
    assert!(Theme::parse_any("c#mocha", &forged, Some("mocha")).is_err());
}

#[test]
fn only_the_theme_names_colours() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/screen");
    let mut folders = vec![root.clone()];
    let mut looked = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs")
                && !path.starts_with(root.join("tests"))
            {
                let text = std::fs::read_to_string(&path).unwrap();
                let named = ["Color::", "Modifier::", "Stylize"]
                    .iter()
                    .any(|word| text.contains(word));
                assert_eq!(named, path.ends_with("theme.rs"), "{}", path.display());
                looked += 1;
            }
        }
    }
    assert!(looked > 20);
}
