//! Builds the guest agent for its own static target and hands its path to
//! `src/guest.rs`, which embeds it. `BELLJAR_AGENT` names a ready-made one.

#![expect(clippy::panic, reason = "a build script fails by ending")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const TARGET: &str = "x86_64-unknown-linux-gnu";

fn main() {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let root = manifest.parent().map(Path::to_path_buf).unwrap_or_default();
    println!("cargo::rerun-if-env-changed=BELLJAR_AGENT");
    for watched in [
        "agent/src",
        "agent/Cargo.toml",
        "recorder/event/src",
        "Cargo.lock",
    ] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("agent");
    let linux = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux")
        && env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "x86_64");
    let bytes = match env::var_os("BELLJAR_AGENT") {
        Some(path) => fs::read(&path).unwrap_or_else(|e| panic!("BELLJAR_AGENT {path:?}: {e}")),
        None if linux => build(&root),
        // Replaying needs no guest: elsewhere `belljar run` says that it cannot.
        None => Vec::new(),
    };
    fs::write(&out, bytes).unwrap_or_else(|e| panic!("{}: {e}", out.display()));
    println!("cargo::rustc-env=BELLJAR_AGENT_PATH={}", out.display());
}

/// A cargo of its own, in a target folder of its own: the outer one holds its lock.
fn build(root: &Path) -> Vec<u8> {
    let target = root.join("target").join("agent");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for inherited in [
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTC_WORKSPACE_WRAPPER",
        "CARGO_BUILD_TARGET",
        "CARGO_MANIFEST_DIR",
        "CARGO_TARGET_DIR",
    ] {
        cargo.env_remove(inherited);
    }
    let status = cargo
        .current_dir(root)
        .args([
            "build",
            "--locked",
            "-p",
            "belljar-agent",
            "--profile",
            "agent",
            "--target",
            TARGET,
            "--target-dir",
        ])
        .arg(&target)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        // Where Debian keeps libelf.a and libz.a, which libbpf's build asks for by folder.
        .env(
            "LIBBPF_SYS_LIBRARY_PATH",
            env::var_os("LIBBPF_SYS_LIBRARY_PATH")
                .unwrap_or_else(|| "/usr/lib/x86_64-linux-gnu".into()),
        )
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => panic!(
            "the guest agent did not build ({status}); it needs a C compiler, libelf-dev and zlib1g-dev (./dev installs them)"
        ),
        Err(e) => panic!("cannot run cargo for the guest agent: {e}"),
    }
    let binary = target.join(TARGET).join("agent").join("belljar-agent");
    fs::read(&binary).unwrap_or_else(|e| panic!("{}: {e}", binary.display()))
}
