//! Themes that were made for other programs: base16 schemes and Catppuccin palettes.
//!
//! Owns: which of their colours stands for which role. Must not: read files.
//!
//! base16 names sixteen colours by use (base00 the background, base05 the text,
//! base08 red … base0F); Catppuccin names twenty-six by look. Both are documented
//! by their projects; only the names are taken from there.

use std::collections::BTreeMap;

/// A role, and the colour of each source that it takes.
struct Pick {
    role: &'static str,
    base16: &'static str,
    catppuccin: &'static str,
    /// Behind it, where it stands on a field of its own.
    field: Option<(&'static str, &'static str)>,
    bold: bool,
}

const fn pick(role: &'static str, base16: &'static str, catppuccin: &'static str) -> Pick {
    Pick {
        role,
        base16,
        catppuccin,
        field: None,
        bold: false,
    }
}

const fn bold(pick: Pick) -> Pick {
    Pick { bold: true, ..pick }
}

const fn on(pick: Pick, base16: &'static str, catppuccin: &'static str) -> Pick {
    Pick {
        field: Some((base16, catppuccin)),
        ..pick
    }
}

const PICKS: &[Pick] = &[
    on(pick("text", "base05", "text"), "base00", "base"),
    pick("muted", "base04", "subtext0"),
    pick("faint", "base03", "overlay0"),
    bold(pick("strong", "base06", "text")),
    pick("accent", "base0D", "blue"),
    pick("title", "base04", "subtext1"),
    bold(pick("title-focus", "base0D", "blue")),
    pick("border", "base02", "surface2"),
    pick("border-focus", "base0D", "blue"),
    bold(on(
        pick("selection", "base06", "text"),
        "base02",
        "surface1",
    )),
    bold(pick("danger", "base08", "red")),
    bold(pick("warning", "base09", "peach")),
    pick("notice", "base0A", "yellow"),
    pick("good", "base0B", "green"),
    pick("denied", "base08", "red"),
    bold(pick("decoy", "base0E", "mauve")),
    bold(pick("recording", "base08", "red")),
    bold(on(pick("playhead", "base00", "base"), "base0D", "blue")),
    pick("density", "base0C", "teal"),
    bold(pick("key", "base0D", "blue")),
    bold(on(pick("degraded", "base00", "base"), "base09", "peach")),
    bold(pick("toast", "base0A", "yellow")),
];

/// A theme file of ours, made of theirs. `None`: it is neither of them.
/// `part` names one of the palettes of a Catppuccin file: latte, frappe, macchiato or mocha.
pub(super) fn import(text: &str, part: Option<&str>) -> Option<Result<String, String>> {
    if let Some(colours) = base16(text) {
        return Some(write(&colours, |pick| {
            (pick.base16, pick.field.map(|field| field.0))
        }));
    }
    let palettes: BTreeMap<String, serde_json::Value> = serde_json::from_str(text).ok()?;
    let named: Vec<&str> = palettes
        .iter()
        .filter(|(_, palette)| palette.get("colors").is_some())
        .map(|(name, _)| name.as_str())
        .collect();
    if named.is_empty() {
        return None;
    }
    let Some(colours) = part.and_then(|part| palettes.get(part)?.get("colors")?.as_object()) else {
        return Some(Err(format!(
            "it has several palettes: name one behind a #: {}",
            named.join(", ")
        )));
    };
    let colours = colours
        .iter()
        .filter_map(|(name, colour)| Some((name.clone(), colour.get("hex")?.as_str()?.to_owned())))
        .collect();
    Some(write(&colours, |pick| {
        (pick.catppuccin, pick.field.map(|field| field.1))
    }))
}

/// `base00: "181818"`, at the top or below `palette:`.
fn base16(text: &str) -> Option<BTreeMap<String, String>> {
    #[derive(serde::Deserialize)]
    struct Scheme {
        palette: Option<BTreeMap<String, String>>,
        #[serde(flatten)]
        others: BTreeMap<String, serde_json::Value>,
    }
    let scheme: Scheme = serde_saphyr::from_str(text).ok()?;
    let palette = scheme.palette.unwrap_or_else(|| {
        let text = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        let others = scheme.others.into_iter();
        others.map(|(name, value)| (name, text(value))).collect()
    });
    let colours: BTreeMap<_, _> = palette
        .into_iter()
        .filter(|(name, _)| name.starts_with("base0") && name.len() == 6)
        .map(|(name, hex)| (name, format!("#{}", hex.trim_start_matches('#'))))
        .collect();
    (!colours.is_empty()).then_some(colours)
}

fn write(
    colours: &BTreeMap<String, String>,
    of: impl Fn(&Pick) -> (&'static str, Option<&'static str>),
) -> Result<String, String> {
    let hex = |name: &str| {
        let hex = colours
            .get(name)
            .ok_or_else(|| format!("it has no {name}"))?;
        let digits = hex.strip_prefix('#').unwrap_or_default();
        // Written into a file of ours: nothing but a colour gets there.
        if digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(hex.clone())
        } else {
            Err(format!("{name} is no colour like #1e1e2e"))
        }
    };
    let mut out = String::from("[role]\n");
    for pick in PICKS {
        let (name, field) = of(pick);
        out.push_str(&format!("{} = {{ fg = \"{}\"", pick.role, hex(name)?));
        if let Some(field) = field {
            out.push_str(&format!(", bg = \"{}\"", hex(field)?));
        }
        if pick.bold {
            out.push_str(", bold = true");
        }
        out.push_str(" }\n");
    }
    Ok(out)
}
