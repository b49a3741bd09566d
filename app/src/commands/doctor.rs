//! `belljar doctor`: which parts are there, which are missing, how to get them.

use crate::cli;
use crate::error::AppError;
use crate::exit::Exit;
use crate::print;

#[cfg(target_os = "linux")]
pub(crate) fn doctor(args: &cli::Doctor) -> Result<Exit, AppError> {
    use belljar_vmm::doctor::{State, examine};
    use belljar_vmm::probe;

    let runtime = super::run::runtime()?;
    let cache = crate::live::cache_dir()?;
    let kvm = runtime.block_on(probe::kvm(None));
    let parts = examine(&cache, &crate::live::recipe(), &kvm);
    let word = |state| match state {
        State::Found => "found",
        State::Limited => "limited",
        State::Missing => "missing",
    };
    let missing = parts.iter().any(|part| part.state == State::Missing);
    match args.format {
        cli::Format::Table => {
            for part in &parts {
                print::out(&format!(
                    "{:<8} {:<22} {}\n",
                    word(part.state),
                    part.name,
                    part.found
                ));
                if part.state != State::Found {
                    print::out(&format!("{:<8} {:<22} it {}\n", "", "", part.purpose));
                }
                if let Some(hint) = &part.hint {
                    print::out(&format!("{:<8} {:<22} to do: {hint}\n", "", ""));
                }
            }
            print::out(if missing {
                "\nguests cannot run here yet\n"
            } else {
                "\nguests can run here\n"
            });
        }
        cli::Format::Json | cli::Format::Jsonl => {
            let rows: Vec<_> = parts
                .iter()
                .map(|part| {
                    serde_json::json!({
                        "part": part.name, "state": word(part.state), "purpose": part.purpose,
                        "found": part.found, "hint": part.hint,
                    })
                })
                .collect();
            print::out(&format!("{}\n", serde_json::Value::from(rows)));
        }
    }
    Ok(if missing {
        Exit::NotEnforced
    } else {
        Exit::Fine
    })
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn doctor(_: &cli::Doctor) -> Result<Exit, AppError> {
    print::out(
        "found    traces   replay, report and verify work here\nmissing  guests   booting guests needs Linux\n",
    );
    Ok(Exit::NotEnforced)
}
