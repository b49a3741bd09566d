//! What the payload finds: a host name, a user with a home, decoys, the project.
//!
//! Owns: everything in the root that belongs to one run.
//! Must not: be reached by the payload's own processes; it is done before they
//! start, except for uploads between phases, which walk no link.

mod decoys;
mod etc;
mod folder;
mod upload;

use std::path::{Path, PathBuf};

use belljar_event::wire::Setup;

pub(crate) use folder::Folder;
pub(crate) use upload::unpack;

use crate::boot::{BootError, clock, raw, sysctl};

/// The payload's user and group.
pub(crate) const USER_ID: u32 = 1000;
/// Name of the folder in the home where an upload lands.
const PROJECT: &str = "project";
/// An address that is not loopback's, as a virtual machine's first card has it.
const ADDRESS: std::net::Ipv4Addr = std::net::Ipv4Addr::new(10, 0, 2, 15);

/// Why the guest could not be made ready.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    /// A step of the system's.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// A name that cannot be one.
    #[error("{what} is not a valid name: {name:?}")]
    Name {
        /// Whose.
        what: &'static str,
        /// As it came.
        name: String,
    },
    /// A file that could not be laid out.
    #[error("cannot lay out {path}: {source}")]
    Layout {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Where the payload lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Login name.
    pub(crate) user: String,
    /// Home folder.
    pub(crate) home: PathBuf,
    /// Project folder, in it.
    pub(crate) project: PathBuf,
    /// Login shell.
    pub(crate) shell: &'static str,
}

/// Lays everything out. The root is entered already.
pub(crate) fn prepare(setup: &Setup) -> Result<Place, SetupError> {
    clock::set_wall(setup.unix_nanos)?;
    raw::add_entropy(setup.entropy)?;
    sysctl::apply()?;
    raw::loopback_up(ADDRESS)?;
    etc::host(&setup.hostname)?;
    let home = Path::new("/home").join(valid_user(&setup.user)?);
    let shell = etc::user(&setup.user, &home)?;
    let place = Place {
        user: setup.user.clone(),
        project: home.join(PROJECT),
        home,
        shell,
    };
    decoys::home(&place, setup)?;
    Ok(place)
}

/// As `adduser` sees it; so it can neither leave `/home` nor break `/etc/passwd`.
fn valid_user(name: &str) -> Result<&str, SetupError> {
    let first = name
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_lowercase() || b == b'_');
    let rest = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'));
    if first && rest && name.len() <= 32 && name != "root" {
        Ok(name)
    } else {
        Err(SetupError::Name {
            what: "the user's name",
            name: name.into(),
        })
    }
}
