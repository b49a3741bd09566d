//! Images from elsewhere: a root file system of a shell and nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Trial;

use crate::support::*;

pub fn tests() -> Vec<Trial> {
    vec![test(
        "image::an_imported_root_file_system_runs",
        &[Need::Guest],
        imported,
    )]
}

/// This machine's shell and the libraries that it says it needs, as a tarball.
fn tarball(dir: &Path) -> Result<PathBuf> {
    let tree = dir.join("tree");
    let shell = fs::canonicalize("/bin/sh")?;
    let needs = Command::new("ldd").arg(&shell).output()?;
    let needs = text(&needs.stdout);
    let mut files = vec![(shell, PathBuf::from("bin/sh"))];
    for word in needs
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
    {
        let to = PathBuf::from(word.trim_start_matches('/'));
        files.push((PathBuf::from(word), to));
    }
    for (from, to) in files {
        let to = tree.join(to);
        fs::create_dir_all(to.parent().unwrap_or(&tree))?;
        fs::copy(from, to)?;
    }
    let file = dir.join("root.tar.gz");
    let made = Command::new("tar")
        .args([
            "-C".as_ref(),
            tree.as_os_str(),
            "-czf".as_ref(),
            file.as_os_str(),
        ])
        .args(["--owner=0", "--group=0", "."])
        .status()?;
    check(made.success(), || "tar failed".into())?;
    Ok(file)
}

fn imported() -> Result {
    let dir = tempfile::tempdir()?;
    let archive = tarball(dir.path())?;
    let name = format!("e2e-{}", std::process::id());
    let import = output(belljar(["image", "import", "--name", &name]).arg(&archive))?;
    check(code(&import) == 0, || text(&import.stderr))?;
    let went = ran(dir.path(), &name);
    let gone = output(&mut belljar(["image", "rm", &name]))?;
    went?;
    check(code(&gone) == 0, || text(&gone.stderr))?;
    let list = output(&mut belljar(["image", "list"]))?;
    check(!text(&list.stdout).contains(&name), || text(&list.stdout))
}

fn ran(dir: &Path, name: &str) -> Result {
    let list = output(&mut belljar(["image", "list"]))?;
    check(text(&list.stdout).contains(name), || text(&list.stdout))?;
    let project = dir.join("project");
    fs::create_dir(&project)?;
    fs::write(project.join("word"), "from the project\n")?;
    let trace = dir.join("t.bjt");
    let command = "echo hi; read line < word; echo \"$line\"; exit 7";
    let words = [
        "--image",
        name,
        "--fail-on",
        "never",
        "--",
        "sh",
        "-c",
        command,
    ];
    let live = output(&mut run(&project, &trace, &words))?;
    let report = json(&live)?;
    check(report["ran"]["end"] == "finished, exit 7", || {
        format!("{}\n{}", report["ran"], text(&live.stderr))
    })?;
    let lines = output(belljar(["report", "--format", "jsonl", "--fail-on", "never"]).arg(&trace))?;
    let lines = text(&lines.stdout);
    check(lines.contains("from the project"), || lines.clone())
}
