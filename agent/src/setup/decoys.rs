//! The home: what a new user gets, the decoys, and an empty project folder.
//! Everything has an age, for a home made this minute is a sandbox's.

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use belljar_event::wire::{DecoyFile, Setup};

use super::folder::split;
use super::{Folder, PROJECT, Place, SetupError, USER_ID};
use crate::boot::BootError;

const DAY: u64 = 86_400;
/// Ages in days: from the youngest, over a range.
const YOUNGEST: u64 = 20;
const RANGE: u64 = 300;

/// Makes the home and fills it.
pub(super) fn home(place: &Place, setup: &Setup) -> Result<(), SetupError> {
    let path = &place.home;
    std::fs::create_dir_all(path).map_err(BootError::file("make folder", path))?;
    let failed = |path: PathBuf| move |source| SetupError::Layout { path, source };
    let home = Folder::open(path, USER_ID).map_err(failed(path.clone()))?;
    home.claim(0o700).map_err(failed(path.clone()))?;
    let now = Duration::from_nanos(setup.unix_nanos);
    skeleton(&home, now).map_err(failed("/etc/skel".into()))?;
    for decoy in &setup.decoys {
        lay_out(&home, decoy, now).map_err(failed(path.join(&decoy.path)))?;
    }
    home.make(Path::new(PROJECT), 0o755)
        .map_err(failed(place.project.clone()))?;
    home.date_self(age(now, ".")).map_err(failed(path.clone()))
}

/// The files that a new user gets.
fn skeleton(home: &Folder, now: Duration) -> io::Result<()> {
    let Ok(entries) = std::fs::read_dir("/etc/skel") else {
        return Ok(());
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let name = entry.file_name();
            home.file(&name, 0o644)?
                .write_all(&std::fs::read(entry.path())?)?;
            home.date(&name, age(now, "skel"))?;
        }
    }
    Ok(())
}

fn lay_out(home: &Folder, decoy: &DecoyFile, now: Duration) -> io::Result<()> {
    let (parent, name) = split(Path::new(&decoy.path))?;
    // A secret's folder is as closed as the secret.
    let folder_mode = if decoy.mode & 0o077 == 0 {
        0o700
    } else {
        0o755
    };
    let folder = home.make(parent, folder_mode)?;
    folder.file(name, decoy.mode)?.write_all(&decoy.content)?;
    folder.date(name, age(now, &decoy.path))?;
    // From the inside out: dating a folder does not change the one around it.
    for above in parent.ancestors().filter(|p| *p != Path::new("")) {
        let when = age(now, &above.to_string_lossy());
        home.make(above, folder_mode)?.date_self(when)?;
    }
    Ok(())
}

/// When this was last changed: from its name, so that it is the same in every run.
fn age(now: Duration, name: &str) -> Duration {
    let hash = OsStr::new(name)
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
            (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3)
        });
    let days = YOUNGEST + hash % RANGE;
    now.saturating_sub(Duration::from_secs(days * DAY + (hash >> 32) % DAY))
}
