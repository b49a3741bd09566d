//! Destinations, and names that were asked for without ever becoming one.

use std::collections::BTreeSet;

use belljar_event::NameAnswer;
use belljar_replay::session::{DestinationRow, DestinationState, NameRow};

use super::{MAX_LINES, RowKey};
use crate::screen::text::{safe_str, safe_text};

/// One line of the network pane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::screen) struct NetworkLine {
    pub(in crate::screen) key: RowKey,
    pub(in crate::screen) state: NetworkState,
    /// Escaped `host:port`; a name alone is its HTTPS port.
    pub(in crate::screen) label: String,
    /// Programs that went there, escaped.
    pub(in crate::screen) programs: String,
    pub(in crate::screen) sent: u64,
    pub(in crate::screen) received: u64,
    pub(in crate::screen) flows: u64,
    pub(in crate::screen) refused: u64,
    /// The policy line that decided last, escaped.
    pub(in crate::screen) by: String,
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::screen) enum NetworkState {
    /// A destination.
    Flow(DestinationState),
    /// A name that was looked up and refused.
    NameRefused,
    /// A name that was looked up and never connected to.
    NameOnly,
}

impl NetworkState {
    pub(in crate::screen) fn is_bad(self) -> bool {
        matches!(
            self,
            Self::Flow(DestinationState::Denied | DestinationState::Range) | Self::NameRefused
        )
    }
}

/// Lines for the network pane: what was refused first, the rest as it came.
pub(super) fn lines(destinations: &[DestinationRow], names: &[NameRow]) -> Vec<NetworkLine> {
    let reached: BTreeSet<&[u8]> = destinations.iter().map(|row| row.name.as_bytes()).collect();
    let mut out: Vec<(u64, NetworkLine)> = destinations
        .iter()
        .take(MAX_LINES)
        .map(|row| (row.first_seq, destination(row)))
        .chain(
            names
                .iter()
                .filter(|row| !reached.contains(row.name.bytes()))
                .take(MAX_LINES)
                .map(|row| (row.first_seq, name(row))),
        )
        .collect();
    out.sort_by_key(|(seq, line)| (!line.state.is_bad(), *seq));
    out.into_iter().map(|(_, line)| line).collect()
}

fn destination(row: &DestinationRow) -> NetworkLine {
    let programs: Vec<String> = row.programs.iter().take(4).map(safe_text).collect();
    NetworkLine {
        key: RowKey::Destination(row.name.to_string(), row.port),
        state: NetworkState::Flow(row.state),
        label: if row.port == 443 && !row.direct {
            safe_str(&row.name)
        } else {
            host(&row.name, row.port)
        },
        programs: programs.join(" "),
        sent: row.sent,
        received: row.received,
        flows: row.flows,
        refused: row.refused,
        by: safe_str(&row.by),
    }
}

/// `host:port`, with brackets where the host has colons itself.
pub(in crate::screen) fn host(name: &str, port: u16) -> String {
    let name = safe_str(name);
    if name.contains(':') {
        format!("[{name}]:{port}")
    } else {
        format!("{name}:{port}")
    }
}

fn name(row: &NameRow) -> NetworkLine {
    let refused = matches!(row.answer, NameAnswer::Refused) || row.refused > 0;
    NetworkLine {
        key: RowKey::Name(row.name.bytes().to_vec()),
        state: if refused {
            NetworkState::NameRefused
        } else {
            NetworkState::NameOnly
        },
        label: safe_text(&row.name),
        programs: String::new(),
        sent: 0,
        received: 0,
        flows: 0,
        refused: row.refused,
        by: safe_str(&row.by),
    }
}
