//! `belljar doctor`: which parts are there, which are missing, how to get them.

use crate::cli;
use crate::error::AppError;
use crate::exit::Exit;
use crate::print;

#[cfg(target_os = "linux")]
use belljar_vmm::doctor::{Asked, Part, State, examine};
#[cfg(target_os = "linux")]
use belljar_vmm::probe::{self, Probe};

#[cfg(target_os = "linux")]
pub(crate) fn doctor(args: &cli::Doctor) -> Result<Exit, AppError> {
    let runtime = super::run::runtime()?;
    let cache = crate::live::cache_dir()?;
    let kvm = runtime.block_on(probe::kvm(args.cloud_hypervisor.as_deref()));
    let degraded = kvm != Probe::Usable;
    // Only asked where it is needed: it takes a second.
    let emulation = degraded.then(|| runtime.block_on(probe::emulation(None)));
    let recipe = crate::live::recipe();
    let asked = Asked {
        kvm: &kvm,
        emulation: emulation.as_ref(),
        cloud_hypervisor: args.cloud_hypervisor.as_deref(),
    };
    let mut parts = examine(&cache, &recipe, &asked);
    parts.push(terminal());
    let missing = parts.iter().any(|part| part.state == State::Missing);
    match args.format {
        cli::Format::Table => {
            for part in &parts {
                print::out(&lines(part));
            }
            print::out(match (missing, degraded) {
                (true, _) => "\nguests cannot run here yet\n",
                (false, true) => {
                    "\nguests can run here DEGRADED (--allow-degraded): software emulation is slow and no security boundary\n"
                }
                (false, false) => "\nguests can run here\n",
            });
        }
        cli::Format::Json | cli::Format::Jsonl => {
            let rows: Vec<_> = parts.iter().map(row).collect();
            print::out(&format!("{}\n", serde_json::Value::from(rows)));
        }
    }
    Ok(if missing {
        Exit::NotEnforced
    } else {
        Exit::Fine
    })
}

#[cfg(target_os = "linux")]
fn word(state: State) -> &'static str {
    match state {
        State::Found => "found",
        State::Optional => "optional",
        State::Limited => "limited",
        State::Missing => "missing",
    }
}

#[cfg(target_os = "linux")]
fn lines(part: &Part) -> String {
    let mut out = format!("{:<8} {:<22} {}\n", word(part.state), part.name, part.found);
    if part.state != State::Found {
        out.push_str(&format!("{:<8} {:<22} it {}\n", "", "", part.purpose));
    }
    if let Some(hint) = &part.hint {
        out.push_str(&format!("{:<8} {:<22} to do: {hint}\n", "", ""));
    }
    out
}

#[cfg(target_os = "linux")]
fn row(part: &Part) -> serde_json::Value {
    serde_json::json!({
        "part": part.name, "state": word(part.state), "purpose": part.purpose,
        "found": part.found, "hint": part.hint,
    })
}

/// What the screen needs.
#[cfg(target_os = "linux")]
fn terminal() -> Part {
    let limited = |found: String, hint: &str| (State::Limited, found, Some(hint.to_owned()));
    let (state, found, hint) = match crossterm::terminal::size() {
        _ if !print::interactive() => limited(
            "input or output is none".to_owned(),
            "runs without one are --headless",
        ),
        Ok((columns, rows)) if columns < 80 || rows < 24 => limited(
            format!("{columns} x {rows}"),
            "the screen wants 80 x 24 at least",
        ),
        Ok((columns, rows)) => {
            let term = std::env::var("TERM").unwrap_or_default();
            (State::Found, format!("{columns} x {rows}, {term:?}"), None)
        }
        Err(error) => limited(error.to_string(), "runs without one are --headless"),
    };
    Part {
        name: "terminal",
        purpose: "shows the screen",
        state,
        found,
        hint,
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn doctor(_: &cli::Doctor) -> Result<Exit, AppError> {
    print::out(
        "found    traces   replay, report and verify work here\nmissing  guests   booting guests needs Linux\n",
    );
    Ok(Exit::NotEnforced)
}
