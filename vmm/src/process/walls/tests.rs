use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::*;
use crate::boot::{copy_to_memory, pair};
use crate::process::{ExitHow, Process};

/// How a shell ends that does this in a hypervisor's place; `$0` is the folder
/// that it may use, `$1` and `$2` are its descriptors.
async fn does(script: &str, folder: &Path, inherit: Vec<OwnedFd>) -> ExitHow {
    let mut argv = vec!["-c".to_owned(), script.to_owned()];
    argv.push(folder.display().to_string());
    argv.extend(inherit.iter().map(|fd| fd.as_raw_fd().to_string()));
    let (_messages, stderr) = pair().unwrap();
    let process = Process::spawn(Program {
        path: "/bin/sh".into(),
        argv,
        inherit,
        stderr,
        group: None,
        folder: Some(folder.to_owned()),
    });
    let ended = process.unwrap();
    let how = tokio::time::timeout(Duration::from_secs(30), ended.wait()).await;
    how.unwrap()
}

#[tokio::test]
async fn nothing_is_reached_but_what_was_handed_over() {
    if !there() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let open = |mode| fs::Permissions::from_mode(mode);
    fs::set_permissions(dir.path(), open(0o755)).unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("file"), "theirs").unwrap();
    fs::write(at("image"), "image").unwrap();
    fs::create_dir(at("folder")).unwrap();
    fs::set_permissions(at("folder"), open(0o777)).unwrap();
    // May be read by anybody, but not by a hypervisor.
    let script = format!("cat {}", at("file").display());
    let folder = at("folder");
    assert_ne!(does(&script, &folder, Vec::new()).await, ExitHow::Code(0));
    for script in [
        "cat /etc/passwd",
        "ls /etc",
        "ls /home",
        "echo x >\"$0/../new\"",
        "echo x >/tmp/new-in-tmp",
        "echo x >/dev/shm/new-in-shm",
    ] {
        let how = does(script, &folder, Vec::new()).await;
        assert!(!matches!(how, ExitHow::Code(0)), "{script}");
    }
    for script in [
        "cat /proc/self/status >/dev/null",
        "head -c 4 /dev/urandom >/dev/null",
        "echo x >\"$0/mine\" && cat \"$0/mine\" >/dev/null && rm \"$0/mine\"",
    ] {
        let how = does(script, &folder, Vec::new()).await;
        assert_eq!(how, ExitHow::Code(0), "{script}");
    }
    // Its image on the disk, and a copy in memory, both by descriptor.
    let image = fs::File::open(at("image")).unwrap().into();
    let memory = copy_to_memory(&b"image"[..]).unwrap();
    let script = "for fd; do test \"$(cat /proc/self/fd/$fd)\" = image || exit 1; done";
    let how = does(script, &folder, vec![image, memory]).await;
    assert_eq!(how, ExitHow::Code(0));
    let script = "echo x >/proc/self/fd/$1";
    let image = fs::File::open(at("image")).unwrap().into();
    assert_ne!(does(script, &folder, vec![image]).await, ExitHow::Code(0));
}

#[test]
fn what_is_installed_with_a_program_is_part_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let prefix = dir.path().canonicalize().unwrap();
    for folder in ["bin", "own"] {
        fs::create_dir(prefix.join(folder)).unwrap();
        fs::write(prefix.join(folder).join("program"), "").unwrap();
    }
    let installed = parts(&prefix.join("bin/program"));
    assert!(installed.contains(&prefix.join("share/qemu")));
    assert!(installed.contains(&prefix.join("bin/program")));
    // Somebody's folder is not opened for a program that happens to lie there.
    let own = prefix.join("own/program");
    assert_eq!(parts(&own), [own]);
    assert!(parts(Path::new("/nowhere")).is_empty());
}
