//! The kernel's maps about the policy: what is ruled, and the yes for held calls.
//!
//! Owns: filling them, and giving and revoking.
//! Must not: decide.

use std::net::SocketAddr;
use std::sync::Arc;

use belljar_event::Op;
use libbpf_rs::{MapCore, MapFlags, MapHandle};

use super::{ObserveError, bpf, skel};
use crate::abi;
use crate::enforce::{Ruled, Tables};
use crate::hold::Wanted;

/// Where held threads get what they may do once. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Grants(Arc<Maps>);

struct Maps {
    paths: MapHandle,
    ways: MapHandle,
}

impl Grants {
    pub(super) fn new(maps: &skel::ObserveMaps<'_>) -> Result<Self, ObserveError> {
        let handle = |map: &libbpf_rs::MapMut<'_>| {
            MapHandle::try_from(map).map_err(bpf("cannot share a kernel map"))
        };
        Ok(Self(Arc::new(Maps {
            paths: handle(&maps.grants)?,
            ways: handle(&maps.ways)?,
        })))
    }

    /// Takes back what a thread did not use.
    pub(crate) fn revoke(&self, tid: u32) {
        // Most often there is nothing.
        let _ = self.0.paths.delete(&tid.to_ne_bytes());
        let _ = self.0.ways.delete(&tid.to_ne_bytes());
    }

    /// Lets a thread do this once; false if the kernel cannot be told.
    pub(crate) fn give(&self, tid: u32, op: Op, wanted: &Wanted) -> bool {
        let key = tid.to_ne_bytes();
        match wanted {
            Wanted::Paths(paths) => abi::grant(paths, op as u32)
                .is_some_and(|grant| self.0.paths.update(&key, &grant, MapFlags::ANY).is_ok()),
            Wanted::Address(addr) => self.0.ways.update(&key, &way(*addr), MapFlags::ANY).is_ok(),
        }
    }
}

fn way(addr: SocketAddr) -> [u8; abi::ENDPOINT_LEN] {
    abi::endpoint(addr)
}

/// Fills the tables that the programs look objects up in.
pub(super) fn fill(
    maps: &skel::ObserveMaps<'_>,
    tables: &Tables,
    devices: impl Iterator<Item = u32>,
) -> Result<(), ObserveError> {
    let failed = || bpf("cannot store a policy line");
    let bytes = |ruled: &Ruled| -> Vec<u8> { ruled.iter().flat_map(|n| n.to_ne_bytes()).collect() };
    for (map, ruled) in [
        (&maps.ruled_paths, &tables.paths),
        (&maps.ruled_folders, &tables.folders),
        (&maps.ruled_names, &tables.names),
    ] {
        for (hash, lines) in ruled {
            map.update(&hash.to_ne_bytes(), &bytes(lines), MapFlags::ANY)
                .map_err(failed())?;
        }
    }
    for (map, hashes) in [(&maps.leaves, &tables.leaves), (&maps.roofs, &tables.roofs)] {
        for hash in hashes {
            map.update(&hash.to_ne_bytes(), &[1], MapFlags::ANY)
                .map_err(failed())?;
        }
    }
    for device in devices {
        maps.devices
            .update(&device.to_ne_bytes(), &[1], MapFlags::ANY)
            .map_err(failed())?;
    }
    Ok(())
}
