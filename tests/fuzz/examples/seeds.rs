//! What a corpus begins with: `seeds OUT`, from the fixtures, rules and policies.

use std::error::Error;
use std::fs;
use std::path::Path;

use belljar_event::wire::{FromAgent, StreamKind, ToAgent};
use belljar_recorder::Reader;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn put(out: &Path, target: &str, name: &str, bytes: &[u8]) -> Result<()> {
    fs::create_dir_all(out.join(target))?;
    Ok(fs::write(out.join(target).join(name), bytes)?)
}

fn each(dir: &Path, end: &str, mut with: impl FnMut(&str, Vec<u8>) -> Result<()>) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(end) {
            with(&name, fs::read(&path)?)?;
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    let out = std::env::args_os().nth(1).ok_or("usage: seeds OUT")?;
    let out = Path::new(&out);
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    each(&root.join("fixtures/traces"), ".bjt", |name, bytes| {
        let mut events = Vec::new();
        for entry in Reader::open(bytes.as_slice())? {
            events.push(entry?.event().clone());
        }
        // One of each kind, and the order of a real run.
        let mut kinds = std::collections::BTreeSet::new();
        let few: Vec<_> = events
            .iter()
            .filter(|event| kinds.insert(event.fact.kind()))
            .cloned()
            .collect();
        put(out, "trace", name, &bytes)?;
        put(
            out,
            "trace",
            &format!("few-{name}"),
            &belljar_fuzz::trace(few.clone()),
        )?;
        put(out, "fold", name, &belljar_fuzz::script(&few))?;
        for (number, some) in events.chunks(40).step_by(20).enumerate() {
            put(
                out,
                "fold",
                &format!("{name}-{number}"),
                &belljar_fuzz::script(some),
            )?;
        }
        let frame = belljar_event::encode(&FromAgent::Events(few))?;
        put(out, "wire", name, &frame)
    })?;
    put(
        out,
        "wire",
        "control",
        &belljar_event::encode(&StreamKind::Control)?,
    )?;
    put(out, "wire", "stop", &belljar_event::encode(&ToAgent::Stop)?)?;
    let hello = belljar_event::wire::hello(belljar_event::wire::AGENT_MAGIC, [7; 16]);
    put(out, "wire", "hello", &hello)?;
    each(&root.join("replay/rules"), ".yaml", |name, text| {
        put(out, "rule", name, &text)
    })?;
    each(&root.join("replay/policies"), ".toml", |name, text| {
        put(out, "policy", name, &text)
    })?;
    for (number, condition) in CONDITIONS.iter().enumerate() {
        put(out, "condition", &number.to_string(), condition.as_bytes())?;
    }
    let mut question = b"\xab\xcd\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\0\0\x01\0\x01".to_vec();
    put(out, "dns", "plain", &question)?;
    // EDNS, as resolvers send it.
    question[11] = 1;
    question.extend(b"\0\0\x29\x04\xd0\0\0\0\0\0\0");
    put(out, "dns", "edns", &question)?;
    for (kind, role) in [(1u32, 1u16), (1, 8), (1, 3), (2, 1), (3, 1)] {
        put(
            out,
            "record",
            &format!("{kind}-{role}"),
            &record(kind, role),
        )?;
    }
    Ok(())
}

const CONDITIONS: &[&str] = &[
    "evt.type in (open, openat) and fd.name startswith /etc/ and not proc.aname[2] = node",
    "path.decoy or (fd.rip in (198.51.100.0/24, 2001:db8::/32) and fd.sport != 443)",
    "proc.cmdline contains \"a b\" or fd.name glob '/tmp/*' or proc.name regex '^no[a-z]+$'",
    "net.name exists and not net.direct and proc.pid >= 1",
];

/// A record of the kernel with one segment.
fn record(kind: u32, role: u16) -> Vec<u8> {
    let mut bytes = 7u64.to_ne_bytes().to_vec();
    for word in [kind, 2, 10, 11, 9, 1000] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.extend([0; 8 + 48]);
    for word in [0u32, 0, 1] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.extend([5, 4, 1, 0]);
    for half in [role, 0] {
        bytes.extend(half.to_ne_bytes());
    }
    for word in [8u32, 8, 0] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.resize(bytes.len() + 11 * 16, 0);
    bytes.extend(b"\x02\0\x01\xbbab/c\0");
    bytes
}
