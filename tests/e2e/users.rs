//! An ordinary user, who is nobody on this machine: no subordinate ids, no group.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libtest_mimic::Trial;

use crate::image::own_image;
use crate::support::*;

/// Nobody has this one.
const USER: u32 = 54_321;

pub fn tests() -> Vec<Trial> {
    vec![
        test(
            "users::an_ordinary_user_runs_offline_from_the_cache",
            &[Need::Guest, Need::Root, Need::Namespaces],
            offline,
        ),
        test(
            "users::without_subordinate_ids_a_build_says_what_to_do",
            &[Need::Root, Need::Build],
            no_ids,
        ),
    ]
}

/// A home of the user's own, where the tool can be reached.
struct User {
    dir: tempfile::TempDir,
}

impl User {
    fn new() -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("belljar-user-")
            .tempdir_in("/tmp")?;
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755))?;
        fs::copy(BELLJAR, dir.path().join("belljar"))?;
        let user = Self { dir };
        user.own(&user.home())?;
        Ok(user)
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// A new folder of the user's.
    fn own(&self, folder: &Path) -> Result {
        fs::create_dir(folder)?;
        Ok(chown(folder, Some(USER), Some(USER))?)
    }

    /// The tool as the user, without a network.
    fn belljar(&self, words: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        let user = USER.to_string();
        command
            .args(["--net", "setpriv", "--reuid", &user, "--regid", &user])
            .arg("--clear-groups")
            .arg(self.dir.path().join("belljar"))
            .args(words)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.home())
            .env("BELLJAR_ALLOW_DEGRADED", "1")
            .current_dir(self.home())
            .stdin(Stdio::null());
        command
    }

    /// Gives the user belljar's own image: the same files, in folders of the user's.
    fn give_image(&self) -> Result {
        let from = own_image()?;
        let name = from.file_name().unwrap_or_default();
        let mut to = self.home();
        for part in [".cache", "belljar", "images"] {
            to.push(part);
            self.own(&to)?;
        }
        self.link(&from, &to.join(name))
    }

    fn link(&self, from: &Path, to: &Path) -> Result {
        self.own(to)?;
        for entry in fs::read_dir(from)? {
            let (from, to) = {
                let entry = entry?;
                (entry.path(), to.join(entry.file_name()))
            };
            if from.is_dir() {
                self.link(&from, &to)?;
            } else if fs::hard_link(&from, &to).is_err() {
                fs::copy(&from, &to)?;
                fs::set_permissions(&to, Permissions::from_mode(0o644))?;
            }
        }
        Ok(())
    }
}

fn offline() -> Result {
    let user = User::new()?;
    user.give_image()?;
    let project = user.dir.path().join("project");
    fs::create_dir(&project)?;
    fs::write(project.join("word"), "from root's project\n")?;
    let words = [
        "run",
        "--headless",
        "--format",
        "json",
        "-o",
        "t.bjt",
        "--fail-on",
        "never",
    ];
    let mut command = user.belljar(&words);
    let script = "cat word; exit 3";
    let live = output(command.arg(&project).args(["--", "sh", "-c", script]))?;
    let report = json(&live)?;
    check(report["ran"]["end"] == "finished, exit 3", || {
        format!("{}\n{}", report["ran"], text(&live.stderr))
    })?;
    let trace = user.home().join("t.bjt");
    let owner = fs::metadata(&trace)?.uid();
    check(owner == USER, || format!("the trace is {owner}'s"))?;
    let said = terminal(&events(&trace)?);
    check(said.contains("from root's project"), || said.clone())
}

fn no_ids() -> Result {
    let user = User::new()?;
    let build = output(&mut user.belljar(&["image", "build", "--flavour", "base"]))?;
    let said = text(&build.stderr);
    check(code(&build) != 0, || "it was built".into())?;
    check(
        said.contains("/etc/subuid and /etc/subgid") && said.contains("--add-subuids"),
        || said.clone(),
    )?;
    let left = user.home().join(".cache/belljar/images");
    check(!left.exists(), || "something was made".into())
}
