//! The kernel's programs, loaded and attached.
//!
//! Owns: loading them before anything is known of a run, filling in their tables
//! when it is, attaching and pinning them, and what the kernel has to say against it.
//! Must not: read what they tell (see `read`).

use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, Mutex};

use belljar_event::{Arg, CALLS, CallInfo, Class, MOVERS, Mover};
use libbpf_rs::skel::{OpenSkel, Skel, SkelBuilder};
use libbpf_rs::{Link, MapCore, MapFlags, MapHandle, OpenObject};

use super::grants::{self, Grants};
use super::{ObserveError, bpf, skel};
use crate::abi;
use crate::enforce::Lines;
use crate::seam::{Origin, Origins};

/// Where links are pinned; only root may enter.
const PINS: &str = "/sys/fs/bpf";

/// Sections of programs that only watch; what refuses is attached always.
const OBSERVERS: [&str; 2] = ["fentry/", "raw_tp/"];

/// The end of what libbpf had to say: with it a refused program can be understood.
static SAID: Mutex<String> = Mutex::new(String::new());
const SAID_MOST: usize = 2000;

fn said() -> std::sync::MutexGuard<'static, String> {
    SAID.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn remember(_: libbpf_rs::PrintLevel, line: String) {
    let mut said = said();
    // A verifier's log comes in one piece, with the reason at its end.
    let skip = line.len().saturating_sub(SAID_MOST);
    let tail = (skip..line.len()).find_map(|at| line.get(at..));
    said.push_str(tail.unwrap_or_default());
    let excess = said.len().saturating_sub(SAID_MOST);
    if let Some(end) = (excess..=said.len()).find(|at| said.is_char_boundary(*at)) {
        said.drain(..end);
    }
}

/// What the programs are told of a run before they are attached.
pub(super) struct About {
    /// The payload's cgroup.
    pub(super) cgroup: std::fs::File,
    /// Its number.
    pub(super) id: u64,
    /// Direct addresses that may be asked for at the host.
    pub(super) direct: Vec<SocketAddr>,
    /// What the policy says about files.
    pub(super) lines: Arc<Lines>,
    /// False: what only watches is not attached.
    pub(super) trace: bool,
}

/// The programs, verified; attached once they were told what the run is about.
pub(super) struct Loaded<'obj> {
    pub(super) skel: skel::ObserveSkel<'obj>,
    links: Vec<Link>,
}

impl<'obj> Loaded<'obj> {
    /// Loads them. Nothing of them runs yet, and nothing in them is about a run.
    pub(super) fn load(storage: &'obj mut MaybeUninit<OpenObject>) -> Result<Self, ObserveError> {
        let mut open = skel::ObserveSkelBuilder::default()
            .open(storage)
            .map_err(bpf("cannot open the kernel programs"))?;
        let Some(rodata) = open.maps.rodata_data.as_deref_mut() else {
            return Err(ObserveError::Reader);
        };
        for info in CALLS {
            if let Some(slot) = rodata.calls.get_mut(usize::from(info.number)) {
                *slot = descriptor(info);
            }
        }
        for mover in MOVERS {
            if let Some(slot) = rodata.calls.get_mut(usize::from(mover.number)) {
                *slot = moving(mover);
            }
        }
        libbpf_rs::set_print(Some((libbpf_rs::PrintLevel::Warn, remember)));
        let skel = open.load().map_err(|source| ObserveError::Refused {
            source,
            log: said().clone(),
        })?;
        Ok(Self {
            skel,
            links: Vec::new(),
        })
    }

    /// Tells them what the run is about, then attaches them.
    pub(super) fn arm(&mut self, about: &About) -> Result<(), ObserveError> {
        let tables = about.lines.tables().map_err(ObserveError::Lines)?;
        let Some(run) = self.skel.maps.bss_data.as_deref_mut() else {
            return Err(ObserveError::Reader);
        };
        run.payload_cgroup = about.id;
        run.path_seed = about.lines.seed();
        run.held_ops = about.lines.held.into();
        run.everywhere.line = tables.everywhere;
        run.watched = tables.watched;
        for (number, says) in about.lines.says() {
            if let Some(slot) = run.line_says.get_mut(number) {
                *slot = says;
            }
        }
        for addr in &about.direct {
            self.skel
                .maps
                .direct
                .update(&abi::endpoint(*addr), &[1], MapFlags::ANY)
                .map_err(bpf("cannot store an allowed address"))?;
        }
        grants::fill(&self.skel.maps, &tables, about.lines.devices())?;
        for program in self.skel.object_mut().progs_mut() {
            let section = program.section().to_string_lossy().into_owned();
            let observes = OBSERVERS.iter().any(|with| section.starts_with(with));
            if observes && !about.trace {
                continue;
            }
            let link = if section.starts_with("cgroup/") || section == "sockops" {
                program.attach_cgroup(std::os::fd::AsRawFd::as_raw_fd(&about.cgroup.as_fd()))
            } else {
                program.attach()
            };
            let mut link = link.map_err(bpf("cannot attach a kernel program"))?;
            // What refuses must not end with whoever attached it.
            let pin = Path::new(PINS).join(program.name());
            link.pin(pin).map_err(bpf("cannot pin a kernel program"))?;
            self.links.push(link);
        }
        Ok(())
    }

    pub(super) fn origins(&self) -> Result<KernelOrigins, ObserveError> {
        let handle = |map: &libbpf_rs::MapMut<'_>| {
            MapHandle::try_from(map).map_err(bpf("cannot share a kernel map"))
        };
        Ok(KernelOrigins {
            by_source: handle(&self.skel.maps.by_source)?,
            askers: handle(&self.skel.maps.askers)?,
        })
    }

    pub(super) fn grants(&self) -> Result<Grants, ObserveError> {
        Grants::new(&self.skel.maps)
    }

    pub(super) fn lost(&self) -> [u64; 4] {
        let counters = self
            .skel
            .maps
            .bss_data
            .as_deref()
            .map(|bss| bss.lost)
            .unwrap_or_default();
        [counters[0], counters[1], counters[2], counters[3]]
    }

    pub(super) fn disk_full(&self) -> bool {
        let bss = self.skel.maps.bss_data.as_deref();
        bss.is_some_and(|bss| bss.disk_full > 0)
    }
}

/// A row of the kernel's table: argument index + 1, 0 for none.
fn descriptor(info: &CallInfo) -> skel::types::call_desc {
    let index = |arg: Arg| match arg {
        Arg::None => 0,
        Arg::At(at) => at + 1,
    };
    skel::types::call_desc {
        class_: class(info.class),
        path: index(info.path),
        dir: index(info.dir),
        other: index(info.other),
        other_dir: index(info.other_dir),
        addr: index(info.addr),
    }
}

/// A row of a call that is only summed up.
fn moving(mover: &Mover) -> skel::types::call_desc {
    let index = |arg: Option<u8>| arg.map_or(0, |at| at + 1);
    skel::types::call_desc {
        class_: CLASS_TRANSFER,
        dir: index(mover.read),
        other_dir: index(mover.written),
        path: 0,
        other: 0,
        addr: 0,
    }
}

/// `CLASS_TRANSFER` of observe.h.
pub(super) const CLASS_TRANSFER: u8 = 17;

/// `enum class_` of observe.h.
pub(super) fn class(class: Class) -> u8 {
    match class {
        Class::Exec => 1,
        Class::Open => 2,
        Class::Change => 3,
        Class::Look => 4,
        Class::Socket => 5,
        Class::Connect => 6,
        Class::Bind => 7,
        Class::Listen => 8,
        Class::Accept => 9,
        Class::Send => 10,
        Class::Dup => 11,
        Class::Guard => 12,
        Class::GuardRefused => 13,
        Class::Message => 14,
        Class::Signal => 15,
        Class::Identity => 16,
    }
}

/// The kernel's memory of connects and lookups.
pub(super) struct KernelOrigins {
    by_source: MapHandle,
    askers: MapHandle,
}

impl Origins for KernelOrigins {
    fn take(&self, peer: SocketAddr) -> Option<Origin> {
        let key = abi::endpoint(peer);
        let value = self.by_source.lookup(&key, MapFlags::ANY).ok()??;
        let _ = self.by_source.delete(&key);
        let (addr, pid, tid) = abi::origin(value.get(..abi::ORIGIN_LEN)?)?;
        Some(Origin { pid, tid, addr })
    }

    fn asker(&self, peer: SocketAddr) -> Option<(u32, u32)> {
        let value = self
            .askers
            .lookup(&peer.port().to_ne_bytes(), MapFlags::ANY)
            .ok()??;
        let pid = u32::from_ne_bytes(*value.first_chunk::<4>()?);
        Some((pid, pid))
    }
}
