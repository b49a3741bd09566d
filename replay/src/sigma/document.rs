//! The shape of Sigma files.
//!
//! Owns: what a document says. Must not: interpret detections.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::rules::{Place, foreign_options};

/// One document of a file. What is not named here says nothing about matching.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Document {
    pub(super) title: Option<String>,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) author: Option<String>,
    pub(super) level: Option<String>,
    #[serde(default)]
    pub(super) tags: Option<Vec<String>>,
    #[serde(default)]
    pub(super) falsepositives: Option<Value>,
    pub(super) logsource: Option<Source>,
    pub(super) detection: Option<BTreeMap<String, Value>>,
    pub(super) correlation: Option<Correlation>,
    pub(super) filter: Option<Value>,
    pub(super) action: Option<String>,
}

/// Where the records come from.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Source {
    pub(super) product: Option<String>,
    pub(super) category: Option<String>,
    pub(super) service: Option<String>,
}

/// A rule over the records of others.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Correlation {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) rules: Vec<String>,
    #[serde(rename = "group-by", default)]
    pub(super) group_by: Vec<String>,
    pub(super) timespan: Option<String>,
    pub(super) condition: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    pub(super) generate: bool,
    pub(super) aliases: Option<Value>,
}

/// Every document of a file.
pub(super) fn read(text: &str) -> Result<Vec<Document>, (Place, String)> {
    const MAX_FILE: usize = 1 << 20;
    if text.len() > MAX_FILE {
        let message = format!("the file is longer than {MAX_FILE} bytes");
        return Err((Place { line: 1, column: 1 }, message));
    }
    serde_saphyr::from_multiple_with_options(text, foreign_options(text.len()))
        .map_err(|error| crate::rules::yaml_error(&error))
}
