//! Addresses that no flow may reach, whatever a name resolves to.
//!
//! Owns: the table, and reading IPv4 addresses out of the IPv6 forms that
//! carry them. Must not: use an "is it global" helper: documentation ranges
//! are in real use on some networks and count as public.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range with its name. Ranges are tried in order, so what deserves its own
/// name stands before the range around it.
type Range4 = ([u8; 4], u8, &'static str);
type Range6 = ([u16; 8], u8, &'static str);

const METADATA: &str = "cloud metadata";
const LOOPBACK: &str = "loopback";
const PRIVATE: &str = "private";
const LINK_LOCAL: &str = "link-local";
const MULTICAST: &str = "multicast";
const RESERVED: &str = "reserved";

const V4: &[Range4] = &[
    ([169, 254, 169, 254], 32, METADATA),
    ([169, 254, 170, 2], 32, METADATA),
    ([100, 100, 100, 200], 32, METADATA),
    ([168, 63, 129, 16], 32, METADATA),
    ([192, 0, 0, 192], 32, METADATA),
    ([0, 0, 0, 0], 8, "unspecified"),
    ([10, 0, 0, 0], 8, PRIVATE),
    ([100, 64, 0, 0], 10, "shared"),
    ([127, 0, 0, 0], 8, LOOPBACK),
    ([169, 254, 0, 0], 16, LINK_LOCAL),
    ([172, 16, 0, 0], 12, PRIVATE),
    ([192, 0, 0, 0], 24, RESERVED),
    ([192, 168, 0, 0], 16, PRIVATE),
    // Also what the guest's stub answers with.
    ([198, 18, 0, 0], 15, "benchmarking"),
    ([224, 0, 0, 0], 4, MULTICAST),
    ([255, 255, 255, 255], 32, "broadcast"),
    ([240, 0, 0, 0], 4, RESERVED),
];

const V6: &[Range6] = &[
    ([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128, METADATA),
    ([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128, METADATA),
    ([0, 0, 0, 0, 0, 0, 0, 0], 128, "unspecified"),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, LOOPBACK),
    ([0x100, 0, 0, 0, 0, 0, 0, 0], 64, "discard"),
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, "local translation"),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, "teredo"),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, PRIVATE),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, LINK_LOCAL),
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, PRIVATE),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, MULTICAST),
];

/// IPv6 forms that carry an IPv4 address, and at which bit it starts.
const CARRIERS: &[([u16; 8], u8, u32)] = &[
    // IPv4-mapped, IPv4-compatible, IPv4-translated
    ([0, 0, 0, 0, 0, 0xffff, 0, 0], 96, 96),
    ([0, 0, 0, 0, 0, 0, 0, 0], 96, 96),
    ([0, 0, 0, 0, 0xffff, 0, 0, 0], 96, 96),
    // NAT64, 6to4
    ([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96, 96),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, 16),
];

/// The name of the range that an address is refused for; `None` if it may be
/// reached as far as ranges go (see [`own`] too).
#[must_use]
pub fn range(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) => range4(ip),
        IpAddr::V6(ip) => {
            let found = V6.iter().find(|(net, bits, _)| within6(ip, *net, *bits));
            let name = found.map(|(_, _, name)| *name);
            name.or_else(|| carried(ip).and_then(range4))
        }
    }
}

fn range4(ip: Ipv4Addr) -> Option<&'static str> {
    let within = |net: [u8; 4], bits: u8| {
        let shift = 32_u32.saturating_sub(bits.into());
        (ip.to_bits() ^ Ipv4Addr::from(net).to_bits())
            .checked_shr(shift)
            .unwrap_or(0)
            == 0
    };
    V4.iter()
        .find(|(net, bits, _)| within(*net, *bits))
        .map(|(_, _, name)| *name)
}

fn within6(ip: Ipv6Addr, net: [u16; 8], bits: u8) -> bool {
    let shift = 128_u32.saturating_sub(bits.into());
    (ip.to_bits() ^ Ipv6Addr::from(net).to_bits())
        .checked_shr(shift)
        .unwrap_or(0)
        == 0
}

/// The IPv4 address inside an IPv6 address.
fn carried(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let (_, _, start) = CARRIERS
        .iter()
        .find(|(net, bits, _)| within6(ip, *net, *bits))?;
    let shift = 96_u32.checked_sub(*start)?;
    let bits = (ip.to_bits() >> shift) & u128::from(u32::MAX);
    u32::try_from(bits).ok().map(Ipv4Addr::from_bits)
}

/// The addresses of this host's interfaces, now.
///
/// # Errors
/// If the system does not tell: then nothing may be dialled.
pub fn own() -> std::io::Result<Vec<IpAddr>> {
    Ok(if_addrs::get_if_addrs()?
        .iter()
        .map(if_addrs::Interface::ip)
        .collect())
}

/// Why an address is refused, given the host's own ones.
#[must_use]
pub fn why(ip: IpAddr, own: &[IpAddr]) -> Option<&'static str> {
    let plain = match ip {
        IpAddr::V6(v6) => carried(v6).map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    };
    range(ip).or_else(|| (own.contains(&ip) || own.contains(&plain)).then_some("own address"))
}
