//! The guest's first and only process of ours: PID 1 of the machine that a
//! payload runs in.
//!
//! Order of things: console and modules, the host's hello, its setup, the
//! payload's root, observation and enforcement, a self-test of both, and only
//! then the payload. Whatever fails on the way ends the machine; so does the
//! end of the channel.

mod abi;
mod boot;
mod enforce;
mod fault;
mod hold;
mod link;
mod net;
mod observe;
mod payload;
mod seam;
mod selftest;
mod session;
mod setup;
mod watch;

use std::path::Path;

use boot::power;

/// Why the agent could not go on.
#[derive(Debug, thiserror::Error)]
enum AgentError {
    #[error(transparent)]
    Boot(#[from] boot::BootError),
    #[error(transparent)]
    Link(#[from] link::LinkError),
    #[error("cannot start the runtime: {0}")]
    Runtime(std::io::Error),
}

fn main() {
    if rustix::process::getpid().as_raw_nonzero().get() != 1 {
        #[expect(clippy::print_stderr, reason = "a person started the wrong program")]
        {
            eprintln!("belljar-agent is the first process of a guest, not a program to start");
        }
        std::process::exit(2);
    }
    power::off_on_panic();
    match run() {
        Ok(never) => match never {},
        Err(error) => power::off(error),
    }
}

fn run() -> Result<std::convert::Infallible, AgentError> {
    boot::mounts::early()?;
    boot::console::open();
    boot::modules::load(Path::new("/modules"))?;
    fault::at(fault::Moment::Boot);
    // Before the host says anything of a run: from here on it could be any.
    let programs = observe::Unarmed::load();
    let greeted = link::greet()?;
    boot::console::say("the host is there");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(AgentError::Runtime)?;
    runtime
        .block_on(session::serve(greeted, programs))
        .map_err(AgentError::Link)
}
