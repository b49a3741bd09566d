//! The policies that belljar brings: presets, and profiles of runtimes.
//!
//! Owns: their names and texts. Must not: choose one.

use super::{Policy, PolicyError};

/// The preset for running untrusted code: nothing leaves but what is allowed.
const DEFAULT: &str = include_str!("../../policies/default.toml");
/// Files are only watched; what leaves is held to the same as in `default`.
const OBSERVE: &str = include_str!("../../policies/observe.toml");
/// Everything that was dropped is asked about before it runs.
const STRICT: &str = include_str!("../../policies/strict.toml");
/// What is ordinary where node and npm work.
const NODE: &str = include_str!("../../policies/profiles/node.toml");
/// The same for Python and pip.
const PYTHON: &str = include_str!("../../policies/profiles/python.toml");

/// The presets' names.
pub const PRESETS: &[&str] = &["default", "observe", "strict"];
/// The profiles' names.
pub const PROFILES: &[&str] = &["node", "python"];

impl Policy {
    /// The preset of this name.
    ///
    /// # Errors
    /// If there is none.
    pub fn preset(name: &str) -> Result<Self, PolicyError> {
        match preset_text(name) {
            Some(text) => Self::parse(name, text),
            None => Err(PolicyError::NoPreset {
                name: name.escape_debug().to_string(),
            }),
        }
    }

    /// The profile of this name: lines between what the user allows and a preset.
    ///
    /// # Errors
    /// If there is none.
    pub fn profile(name: &str) -> Result<Self, PolicyError> {
        match profile_text(name) {
            Some(text) => Self::parse(name, text),
            None => Err(PolicyError::NoProfile {
                name: name.escape_debug().to_string(),
            }),
        }
    }
}

/// A preset's text as it was written, with its comments.
#[must_use]
pub fn preset_text(name: &str) -> Option<&'static str> {
    match name {
        "default" => Some(DEFAULT),
        "observe" => Some(OBSERVE),
        "strict" => Some(STRICT),
        _ => None,
    }
}

/// A profile's text as it was written, with its comments.
#[must_use]
pub fn profile_text(name: &str) -> Option<&'static str> {
    match name {
        "node" => Some(NODE),
        "python" => Some(PYTHON),
        _ => None,
    }
}
