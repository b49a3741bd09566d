//! Colours. The only module of the screen that may name one.
//!
//! Owns: the semantic roles, the theme files and how they are read.
//! Must not: know a pane. A view asks for a [`Role`] and gets a style.

mod import;

use std::collections::BTreeMap;

use ratatui::style::{Color, Modifier, Style};

use super::terminal;

macro_rules! roles {
    ($($role:ident $name:literal $meaning:literal,)*) => {
        /// What a piece of the screen means; a theme says how that looks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Role { $(#[doc = $meaning] $role,)* }

        impl Role {
            /// Every role with its name in theme files.
            pub(crate) const ALL: &'static [(Role, &'static str)] = &[$((Role::$role, $name),)*];
        }
    };
}

roles! {
    Text "text" "Ordinary text, and the background.",
    Muted "muted" "Less important: labels, units, ages.",
    Faint "faint" "Least important: rulers, what is over.",
    Strong "strong" "What the eye should find first.",
    Accent "accent" "Names of things that can be opened.",
    Title "title" "Title of a pane.",
    TitleFocus "title-focus" "Title of the pane that has the keys.",
    Border "border" "Frame of a pane.",
    BorderFocus "border-focus" "Frame of the pane that has the keys.",
    Selection "selection" "The selected row.",
    Danger "danger" "Malicious, critical, not enforced.",
    Warning "warning" "Suspicious, high; needs a look.",
    Notice "notice" "Medium and low findings.",
    Good "good" "Safe, verified, allowed, enforced.",
    Denied "denied" "Refused by the policy.",
    Decoy "decoy" "A decoy, or what touched one.",
    Recording "recording" "The recording mark.",
    Playhead "playhead" "Where on the timeline the screen stands.",
    Density "density" "Events on the timeline.",
    Key "key" "A key in the footer and the help.",
    Degraded "degraded" "The machine is no security boundary.",
    Toast "toast" "A passing message.",
}

/// A colour as the guest asked for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ink {
    /// Whatever the theme has.
    #[default]
    Default,
    /// Of the palette of 256.
    Index(u8),
    /// Red, green, blue.
    Rgb(u8, u8, u8),
}

impl From<vt100::Color> for Ink {
    fn from(colour: vt100::Color) -> Self {
        match colour {
            vt100::Color::Default => Self::Default,
            vt100::Color::Idx(index) => Self::Index(index),
            vt100::Color::Rgb(red, green, blue) => Self::Rgb(red, green, blue),
        }
    }
}

/// Styles by role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Theme {
    name: String,
    styles: Vec<Style>,
}

/// A theme file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ThemeError {
    /// Not TOML, or not of this shape.
    #[error("theme {name} cannot be read: {why}")]
    Shape {
        /// Which theme.
        name: String,
        /// What the parser says.
        why: String,
    },
    /// A role that does not exist.
    #[error("theme {name} names an unknown role: {role}")]
    Role {
        /// Which theme.
        name: String,
        /// The role.
        role: String,
    },
    /// A colour that does not exist.
    #[error("theme {name}, role {role}: unknown colour {colour:?} (use a name, #rrggbb or 0-255)")]
    Colour {
        /// Which theme.
        name: String,
        /// The role.
        role: String,
        /// What was written.
        colour: String,
    },
}

/// The themes that are built in: name and file.
pub(crate) const THEMES: &[(&str, &str)] = &[
    ("dark", include_str!("../../../themes/dark.toml")),
    ("light", include_str!("../../../themes/light.toml")),
    (
        "high-contrast",
        include_str!("../../../themes/high-contrast.toml"),
    ),
    (
        "colour-blind",
        include_str!("../../../themes/colour-blind.toml"),
    ),
    ("mono", include_str!("../../../themes/mono.toml")),
];

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// A built-in theme to start from.
    #[serde(default)]
    base: Option<String>,
    #[serde(default)]
    role: BTreeMap<String, Look>,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Look {
    fg: Option<String>,
    bg: Option<String>,
    bold: bool,
    dim: bool,
    italic: bool,
    underline: bool,
    reverse: bool,
}

impl Theme {
    /// A built-in theme.
    #[must_use]
    pub(crate) fn named(name: &str) -> Option<Self> {
        let (name, text) = THEMES.iter().find(|(known, _)| *known == name)?;
        Self::parse(name, text).ok()
    }

    /// No colours at all: what `NO_COLOR` asks for.
    #[must_use]
    pub(crate) fn mono() -> Self {
        Self::named("mono").unwrap_or_else(|| Self::plain("mono"))
    }

    /// Reads a theme file. Roles that it leaves out come from its `base`, or stay plain.
    ///
    /// # Errors
    /// If it is no TOML of this shape, or names a role or colour that does not exist.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, ThemeError> {
        let file: File = toml::from_str(text).map_err(|e| ThemeError::Shape {
            name: name.into(),
            why: e.to_string(),
        })?;
        let mut theme = match file.base.as_deref() {
            // A base of its own name would never end.
            Some(base) if base != name => Self::named(base).ok_or_else(|| ThemeError::Shape {
                name: name.into(),
                why: format!("there is no built-in theme {base:?}"),
            })?,
            _ => Self::plain(name),
        };
        theme.name = name.to_owned();
        for (role, look) in &file.role {
            let style = look.style(name, role)?;
            let slot = Role::ALL.iter().position(|(_, known)| known == role);
            match slot.and_then(|at| theme.styles.get_mut(at)) {
                Some(slot) => *slot = style,
                None => {
                    return Err(ThemeError::Role {
                        name: name.into(),
                        role: role.clone(),
                    });
                }
            }
        }
        Ok(theme)
    }

    /// Reads a file of ours, a base16 scheme, or one palette of a Catppuccin file.
    ///
    /// # Errors
    /// If it is none of these, or a colour is missing or wrong.
    pub(crate) fn parse_any(
        name: &str,
        text: &str,
        part: Option<&str>,
    ) -> Result<Self, ThemeError> {
        match import::import(text, part) {
            Some(Ok(ours)) => Self::parse(name, &ours),
            Some(Err(why)) => Err(ThemeError::Shape {
                name: name.into(),
                why,
            }),
            None => Self::parse(name, text),
        }
    }

    fn plain(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            styles: vec![Style::new(); Role::ALL.len()],
        }
    }

    /// Its name.
    #[must_use]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How a cell of the guest's terminal looks. Without colours of its own the
    /// theme leaves the guest none either.
    #[must_use]
    pub(super) fn guest(&self, look: &terminal::Look) -> Style {
        if look.strange {
            return self.style(Role::Warning);
        }
        let coloured = self.style(Role::Text).fg.is_some();
        let colour = |ink| match ink {
            Ink::Index(index) if coloured => Some(Color::Indexed(index)),
            Ink::Rgb(red, green, blue) if coloured => Some(Color::Rgb(red, green, blue)),
            _ => None,
        };
        let mut style = Style {
            fg: colour(look.fg),
            bg: colour(look.bg),
            ..Style::new()
        };
        for (on, modifier) in [
            (look.bold, Modifier::BOLD),
            (look.dim, Modifier::DIM),
            (look.italic, Modifier::ITALIC),
            (look.underline, Modifier::UNDERLINED),
            (look.inverse, Modifier::REVERSED),
        ] {
            if on {
                style = style.add_modifier(modifier);
            }
        }
        self.style(Role::Text).patch(style)
    }

    /// The colours of ordinary text and of the page behind it, where it has them.
    pub(crate) fn page(&self) -> (Option<Color>, Option<Color>) {
        let text = self.style(Role::Text);
        (text.fg, text.bg)
    }

    /// How a role looks.
    #[must_use]
    pub(crate) fn style(&self, role: Role) -> Style {
        self.styles.get(role as usize).copied().unwrap_or_default()
    }
}

impl Look {
    fn style(&self, theme: &str, role: &str) -> Result<Style, ThemeError> {
        let colour = |text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => text
                .parse::<Color>()
                .map(Some)
                .map_err(|_| ThemeError::Colour {
                    name: theme.into(),
                    role: role.into(),
                    colour: text.clone(),
                }),
        };
        let mut style = Style {
            fg: colour(&self.fg)?,
            bg: colour(&self.bg)?,
            ..Style::new()
        };
        for (on, modifier) in [
            (self.bold, Modifier::BOLD),
            (self.dim, Modifier::DIM),
            (self.italic, Modifier::ITALIC),
            (self.underline, Modifier::UNDERLINED),
            (self.reverse, Modifier::REVERSED),
        ] {
            if on {
                style = style.add_modifier(modifier);
            }
        }
        Ok(style)
    }
}
