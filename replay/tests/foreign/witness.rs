//! Events that Sigma rules are about, made from the words of the rules.
//!
//! Owns: for each rule, events that have the values of its selections, of all
//! together and of each by itself, as written and in capitals.

use std::collections::BTreeMap;

use belljar_event::*;
use serde_json::Value;

use crate::tape::Tape;

const O_CREAT: u32 = 0o1101;

/// A tape of events for these rule files.
pub(crate) fn tape(sources: &[(String, String)]) -> Tape {
    let mut tape = Tape::booted();
    tape.begin("install", &["npm", "install"], 100);
    tape.exec(100, "/usr/bin/npm", &["npm", "install"]);
    let mut pid = 200;
    for (_, text) in sources {
        let Ok(document) = serde_saphyr::from_str::<BTreeMap<String, Value>>(text) else {
            continue;
        };
        let Some(Value::Object(detection)) = document.get("detection") else {
            continue;
        };
        let selections: Vec<_> = detection
            .iter()
            .filter(|(name, _)| !["condition", "timeframe"].contains(&name.as_str()))
            .collect();
        for choice in 0..3 {
            let wanted = |name: &str| !name.starts_with("filter");
            let mut all = Fields::default();
            for (name, value) in &selections {
                let mut alone = Fields::default();
                alone.take(value, choice);
                alone.act(&mut tape, &mut pid);
                if wanted(name) {
                    all.take(value, choice);
                }
            }
            all.act(&mut tape, &mut pid);
            all.capitals().act(&mut tape, &mut pid);
        }
    }
    tape
}

/// Values by field; of several for one field, all of them.
#[derive(Clone, Default)]
struct Fields(BTreeMap<String, Vec<(String, String)>>);

impl Fields {
    /// The values of a selection; of lists, the one at this place.
    fn take(&mut self, value: &Value, choice: usize) {
        match value {
            Value::Object(entries) => {
                for (key, value) in entries {
                    let (field, how) = key.split_once('|').unwrap_or((key, ""));
                    let all = how.contains("all");
                    let values = match value {
                        Value::Array(values) => values.clone(),
                        one => vec![one.clone()],
                    };
                    let chosen = values
                        .iter()
                        .enumerate()
                        .filter(|(at, _)| all || *at == choice % values.len().max(1));
                    for (_, value) in chosen {
                        let text = match value {
                            Value::String(text) => text.clone(),
                            other => other.to_string(),
                        };
                        let values = self.0.entry(field.to_owned()).or_default();
                        values.push((how.to_owned(), text));
                    }
                }
            }
            Value::Array(items) => {
                if let Some(item) = items.get(choice % items.len().max(1)) {
                    self.take(item, choice);
                }
            }
            Value::Null => {}
            scalar => {
                let text = scalar.as_str().map_or(scalar.to_string(), str::to_owned);
                let words = self.0.entry("CommandLine".into()).or_default();
                words.push(("contains".into(), text));
            }
        }
    }

    fn capitals(&self) -> Self {
        let mut other = self.clone();
        for values in other.0.values_mut() {
            for (_, text) in values {
                *text = text.to_ascii_uppercase();
            }
        }
        other
    }

    /// Values with something before or behind them, as the modifier wants; a
    /// wildcard becomes a word.
    fn text(&self, field: &str) -> Option<String> {
        let values = self.0.get(field)?;
        let each = values.iter().map(|(how, text)| {
            let text = text
                .replace("\\\\", "\\")
                .replace('*', "any")
                .replace('?', "q");
            let before = if how.contains("endswith") || how.contains("contains") {
                "/opt/x"
            } else {
                ""
            };
            let behind = if how.contains("startswith") || how.contains("contains") {
                "y"
            } else {
                ""
            };
            match field {
                "CommandLine" | "ParentCommandLine" => text,
                _ => format!("{before}{text}{behind}"),
            }
        });
        Some(each.collect::<Vec<_>>().join(" "))
    }

    fn act(&self, tape: &mut Tape, pid: &mut u32) {
        *pid += 2;
        let (parent, child) = (*pid, *pid + 1);
        let or = |field: &str, other: &str| self.text(field).unwrap_or_else(|| other.to_owned());
        let above = or("ParentImage", "/usr/bin/node");
        tape.fork(100, parent);
        tape.exec(parent, &above, &[&or("ParentCommandLine", "node x.js")]);
        tape.fork(parent, child);
        let image = or("Image", &or("exe", "/usr/bin/cat"));
        let name = image.rsplit('/').next().unwrap_or("cat").to_owned();
        let line = or("CommandLine", "cat file");
        let cwd = or("CurrentDirectory", "/home/dev/project");
        let mut arguments: Vec<Vec<String>> = vec![vec![line.clone()], vec![name, line]];
        let numbered: Vec<_> = (0..8).map(|at| self.text(&format!("a{at}"))).collect();
        if numbered.iter().any(Option::is_some) {
            let last = numbered.iter().rposition(Option::is_some).unwrap_or(0);
            let words = numbered.iter().take(last + 1);
            arguments.push(
                words
                    .map(|word| word.clone().unwrap_or("-x".into()))
                    .collect(),
            );
        }
        for argv in arguments {
            let words: Vec<&str> = argv.iter().map(String::as_str).collect();
            let mut exec = crate::tape::exec(&image, &words);
            exec.cwd = Some(cwd.as_str().into());
            if let Some(comm) = self.text("comm") {
                exec.path = format!("/usr/bin/{comm}").as_str().into();
            }
            tape.ok(child, exec);
        }
        for field in ["TargetFilename", "name"] {
            if let Some(path) = self.text(field) {
                tape.write(child, &path);
                tape.read(child, &path);
                tape.ok(child, renamed("/tmp/a", &path));
                tape.ok(child, renamed(&path, "/tmp/b"));
                tape.errno(child, 13, crate::tape::open(&path, O_CREAT));
            }
        }
        self.act_outside(tape, child);
    }

    fn act_outside(&self, tape: &mut Tape, child: u32) {
        let port = self
            .text("DestinationPort")
            .and_then(|port| port.parse().ok());
        let name = self.text("DestinationHostname");
        let ip = self.text("DestinationIp").and_then(|ip| ip.parse().ok());
        if port.is_some() || name.is_some() || ip.is_some() {
            let ip = ip.unwrap_or([198, 51, 100, 7].into());
            let addr = std::net::SocketAddr::new(ip, port.unwrap_or(443));
            tape.ok(
                child,
                Connect {
                    fd: 9,
                    addr: Addr::Inet(addr),
                    name,
                },
            );
        }
        if self.0.contains_key("SYSCALL") {
            tape.errno(
                child,
                97,
                Socket {
                    family: 38,
                    kind: 5,
                    protocol: 0,
                },
            );
            tape.errno(child, 1, change("mknod", "/tmp/node", None));
        }
    }
}

fn change(call: &str, path: &str, other: Option<&str>) -> Change {
    let row = CALLS.iter().find(|row| row.name == call).unwrap();
    Change {
        call: Call(row.number),
        path: path.into(),
        base: None,
        other: other.map(Into::into),
        other_base: None,
        value: 0,
        file: None,
        other_file: None,
    }
}

fn renamed(from: &str, to: &str) -> Change {
    change("rename", from, Some(to))
}
