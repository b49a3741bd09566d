//! A line that a person saved in a run: in force from then on, and written down for
//! the runs to come.
//!
//! Owns: which file it goes to, and that it gets there whole or not at all.
//! Must not: decide, or end a run: what cannot be saved holds for the run all the same.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use belljar_replay::policy::{Policy, Source, Syntax, insert_line};

use crate::policies::{Chosen, Policies, PolicyFile, USER, own};

/// What a new file of the user's own lines begins with.
const HEADING: &str = "\
# Your own lines: asked in every run before the profile and the preset.
# Answers that you save are put in front; `belljar policy check user` looks at all.
";
/// What the person at the screen is told.
pub(crate) type Tell = Box<dyn Fn(String) + Send + Sync>;

/// Puts lines where they belong.
pub(crate) struct Saver {
    policies: Policies,
    home: String,
    tell: Option<Tell>,
}

impl std::fmt::Debug for Saver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Saver")
            .field("policies", &self.policies)
            .field("home", &self.home)
            .finish_non_exhaustive()
    }
}

impl Saver {
    pub(crate) fn new(policies: &Policies, home: &str, tell: Option<Tell>) -> Self {
        Self {
            policies: policies.clone(),
            home: home.to_owned(),
            tell,
        }
    }

    /// The policy with the line in front, which a line in `asked_by` led to. `None` if
    /// it is no line. Whether it was written down, and where, the person is told.
    pub(crate) fn save(&self, policy: &Policy, line: &str, asked_by: &str) -> Option<Policy> {
        let here = line.replace("~/", &format!("{}/", self.home));
        let free = |number: &u32| policy.line(&format!("saved:{number}")).is_none();
        let id = format!("saved:{}", (1..=u32::MAX).find(free)?);
        let in_force = policy.with_line(&id, &here).ok()?;
        let told = match self.write(&self.anywhere(line), asked_by) {
            Ok((path, id)) => format!("✓ saved as {id} in {}", path.display()),
            Err(why) => format!("✗ not saved, holds for this run only: {why}"),
        };
        if let Some(tell) = &self.tell {
            tell(told);
        }
        Some(in_force)
    }

    /// The line for every home: the payload's has another name in each run.
    fn anywhere(&self, line: &str) -> String {
        let mut out = line.to_owned();
        for before in [' ', '"', '\'', '(', ','] {
            let here = format!("{before}{}/", self.home);
            out = out.replace(&here, &format!("{before}~/"));
        }
        out
    }

    fn write(&self, line: &str, asked_by: &str) -> Result<(PathBuf, String), String> {
        let path = self
            .policies
            .saved_in(asked_by)
            .ok_or("there is no configuration folder: set HOME or XDG_CONFIG_HOME")?;
        // The file itself, not a link to it, is what is replaced.
        let path = path.canonicalize().unwrap_or(path);
        let is_own = crate::policies::user_file()
            .is_some_and(|own| own.canonicalize().unwrap_or(own) == path);
        // As it is now: somebody may have edited it meanwhile.
        let before = match (PolicyFile::read(&path), &self.policies.chosen) {
            (Ok(file), Chosen::File(chosen)) if !is_own => PolicyFile {
                name: chosen.name.clone(),
                ..file
            },
            (Ok(file), _) => PolicyFile {
                name: USER.to_owned(),
                ..file
            },
            (Err(_), _) if is_own && !path.exists() => PolicyFile {
                shown: path.display().to_string(),
                path: path.clone(),
                name: USER.to_owned(),
                text: HEADING.to_owned(),
            },
            (Err(error), _) => return Err(error.to_string()),
        };
        let source = Source {
            syntax: Syntax::of(&before.shown),
            ..before.source()
        };
        let (text, id) = insert_line(&source, line, "saved in a run, as an answer to a question")
            .map_err(|error| error.to_string())?;
        self.still_good(&before, &text, is_own)?;
        replace(&path, &text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok((path, id))
    }

    /// A file that the next run would refuse is not written.
    fn still_good(&self, before: &PolicyFile, text: &str, is_own: bool) -> Result<(), String> {
        let after = PolicyFile {
            text: text.to_owned(),
            ..before.clone()
        };
        let mut next = self.policies.clone();
        if is_own {
            next.own = Some(after);
        } else {
            // The user's own lines as they are by now.
            next.own = own().unwrap_or(next.own);
            next.chosen = Chosen::File(after);
        }
        next.checked().map(drop).map_err(|error| error.to_string())
    }
}

/// Puts `text` in the file's place: beside it first, then, whole and on the disk, over it.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = write_new(&beside, path, text).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
        return written;
    }
    // The new name is on the disk, too.
    File::open(folder)?.sync_all()
}

fn write_new(beside: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(beside)?;
    if let Ok(known) = fs::metadata(path) {
        file.set_permissions(known.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn policies(file: &Path) -> Policies {
        Policies {
            chosen: Chosen::File(PolicyFile::read(file).unwrap()),
            profiles: Vec::new(),
            own: None,
            project: None,
            allows: Vec::new(),
        }
    }

    const MINE: &str = "# mine\n[[rule]]\nid = \"asks\" # why\naction = \"ask\"\ncondition = \"net.name exists\"\n";

    fn saver(file: &Path) -> (Saver, Arc<Mutex<Vec<String>>>) {
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let tell: Tell = Box::new(move |text| heard.lock().unwrap().push(text));
        (Saver::new(&policies(file), "/home/mira", Some(tell)), said)
    }

    #[test]
    fn a_saved_line_holds_now_and_in_the_next_run() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("mine.toml");
        fs::write(&file, MINE).unwrap();
        let link = dir.path().join("link.toml");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let (saver, said) = saver(&link);
        let policy = saver.policies.compose(&[], "/home/mira", false).unwrap();
        let line = "allow evt.op = exec and fd.name = /home/mira/project/x";
        let policy = saver.save(&policy, line, "mine:asks").unwrap();
        assert_eq!(policy.lines()[0].id, "saved:1");
        let policy = saver.save(&policy, "deny net.direct", "mine:asks").unwrap();
        assert_eq!(policy.lines()[0].id, "saved:2");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.ends_with(&MINE["# mine\n".len()..]), "{text}");
        assert!(text.contains("fd.name = ~/project/x"), "{text}");
        assert!(link.symlink_metadata().unwrap().is_symlink());
        let said = said.lock().unwrap();
        assert!(
            said.iter().all(|said| said.starts_with("✓ saved as ")),
            "{said:?}"
        );
        // The next run has another home.
        let next = policies(&link).checked().unwrap();
        let next = next.compose(&[], "/home/jonas", false).unwrap();
        let source = next.lines()[1].condition.source();
        assert_eq!(source, "evt.op = exec and fd.name = /home/jonas/project/x");
    }

    #[test]
    fn what_cannot_be_saved_still_holds_for_the_run() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("mine.toml");
        fs::write(&file, MINE).unwrap();
        let (saver, said) = saver(&file);
        let policy = saver.policies.compose(&[], "/home/mira", false).unwrap();
        for (line, text, part) in [
            // Could not be enforced in a run to come.
            ("deny evt.op = read and proc.name = cat", MINE, "mine.toml:"),
            (
                "deny net.direct",
                "rule = [{action = 'ask', condition = 'net.name exists'}]",
                "by hand",
            ),
            ("deny net.direct", "[[rule]\n", "mine.toml:1:"),
        ] {
            fs::write(&file, text).unwrap();
            let after = saver.save(&policy, line, "mine:asks").unwrap();
            assert_eq!(after.lines().len(), policy.lines().len() + 1);
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
            let last = said.lock().unwrap().pop().unwrap();
            assert!(last.contains("not saved") && last.contains(part), "{last}");
        }
        fs::remove_file(&file).unwrap();
        assert!(
            saver
                .save(&policy, "deny net.direct", "mine:asks")
                .is_some()
        );
        assert!(said.lock().unwrap().pop().unwrap().contains("not saved"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(saver.save(&policy, "no line", "mine:asks").is_none());
    }
}
