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
    for name in ["dark", "light"] {
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
