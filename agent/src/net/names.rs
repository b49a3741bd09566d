//! Stand-in addresses: each name that may be connected to has one from
//! 198.18.0.0/15 (set aside for benchmarks, so nobody's), for the whole run.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

/// First address, and how many there are.
const FIRST: u32 = u32::from_be_bytes([198, 18, 0, 0]);
const COUNT: u32 = 1 << 17;
/// Names kept at most; the space is twice that, so a free address is found soon.
const MAX_NAMES: usize = 1 << 16;

/// The table. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Names(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    by_name: HashMap<Arc<str>, Ipv4Addr>,
    by_addr: HashMap<Ipv4Addr, Arc<str>>,
}

impl Names {
    /// The name's address, and whether it was given just now; `None` if the table is full.
    pub(super) fn address(&self, name: &str) -> Option<(Ipv4Addr, bool)> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(addr) = table.by_name.get(name) {
            return Some((*addr, false));
        }
        if table.by_name.len() >= MAX_NAMES {
            return None;
        }
        // From the name, not from the order of questions: two runs agree.
        let start = hash(name);
        let addr = (0..COUNT)
            .map(|step| Ipv4Addr::from(FIRST + start.wrapping_add(step) % COUNT))
            .find(|addr| usable(*addr) && !table.by_addr.contains_key(addr))?;
        let name: Arc<str> = name.into();
        table.by_name.insert(Arc::clone(&name), addr);
        table.by_addr.insert(addr, name);
        Some((addr, true))
    }

    /// Takes an address back that nobody was told.
    pub(super) fn forget(&self, name: &str) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(addr) = table.by_name.remove(name) {
            table.by_addr.remove(&addr);
        }
    }

    /// The name that an address stands for.
    pub(crate) fn name(&self, addr: SocketAddr) -> Option<String> {
        let IpAddr::V4(addr) = addr.ip().to_canonical() else {
            return None;
        };
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.by_addr.get(&addr).map(|name| name.to_string())
    }
}

impl crate::observe::Names for Names {
    fn name(&self, addr: SocketAddr) -> Option<String> {
        Names::name(self, addr)
    }
}

/// Not one that looks like a network's or a broadcast address.
fn usable(addr: Ipv4Addr) -> bool {
    !matches!(addr.octets(), [.., 0 | 255])
}

/// FNV-1a.
fn hash(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ip: Ipv4Addr) -> SocketAddr {
        SocketAddr::from((ip, 443))
    }

    #[test]
    fn a_name_keeps_its_address_and_the_address_its_name() {
        let names = Names::default();
        let (a, fresh) = names.address("one.example").unwrap();
        assert!(fresh);
        assert_eq!(names.address("one.example"), Some((a, false)));
        let (b, _) = names.address("two.example").unwrap();
        assert_ne!(a, b);
        assert_eq!(names.name(at(a)).as_deref(), Some("one.example"));
        let mapped = SocketAddr::from((a.to_ipv6_mapped(), 443));
        assert_eq!(names.name(mapped).as_deref(), Some("one.example"));
        names.forget("one.example");
        assert_eq!(names.name(at(a)), None);
    }

    #[test]
    fn addresses_are_the_same_in_every_run_and_within_the_range() {
        let (one, two) = (Names::default(), Names::default());
        two.address("first.example");
        for name in ["registry.example", "a", "x.y.z.example"] {
            let addr = one.address(name).unwrap().0;
            assert_eq!(two.address(name).unwrap().0, addr);
            assert!(
                matches!(addr.octets(), [198, 18 | 19, _, 1..=254]),
                "{addr}"
            );
        }
    }

    #[test]
    fn a_flood_of_names_ends_at_the_limit() {
        let names = Names::default();
        let given: std::collections::HashSet<_> = (0..MAX_NAMES)
            .map(|n| names.address(&format!("n{n}.example")).unwrap().0)
            .collect();
        assert_eq!(given.len(), MAX_NAMES);
        assert_eq!(names.address("one-more.example"), None);
        assert!(names.address("n5.example").is_some());
    }
}
