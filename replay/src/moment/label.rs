//! How a looked-up name is made up: labels, their length, their entropy.
//!
//! Owns: the arithmetic, in whole numbers, so that it is the same everywhere.
//! Must not: say what is too long or too random; rules do.

/// Longest label that is measured; DNS allows 63 bytes.
const MAX_LABEL: usize = 255;
/// Binary digits behind the point of a logarithm.
const FRACTION: u32 = 20;

/// Longest name that is looked at; DNS allows 253 bytes.
const MAX_NAME: usize = 255;

/// The registrable domain in lower case: one label before the public suffix. What
/// stands under no suffix of the list has its last label for one.
pub(super) fn site(name: &[u8]) -> Option<Vec<u8>> {
    let name = name.strip_suffix(b".").unwrap_or(name);
    let name = name.get(..MAX_NAME).map_or(name, |_| b"");
    let lower = name.to_ascii_lowercase();
    let domain = psl::domain(&lower)?;
    Some(domain.as_bytes().to_vec())
}

/// How many labels the name has.
pub(super) fn count(name: &[u8]) -> u64 {
    labels(name).count() as u64
}

/// The longest label; the first of several.
pub(super) fn longest(name: &[u8]) -> &[u8] {
    labels(name).fold(&[], |best, label| {
        if label.len() > best.len() {
            label
        } else {
            best
        }
    })
}

/// Shannon entropy in thousandths of a bit per byte, case folded.
pub(super) fn entropy(label: &[u8]) -> u64 {
    let label = label.get(..MAX_LABEL).unwrap_or(label);
    let length = label.len() as u64;
    let mut counts = [0u64; 256];
    for byte in label {
        if let Some(count) = counts.get_mut(usize::from(byte.to_ascii_lowercase())) {
            *count += 1;
        }
    }
    // length * H = length * log2(length) - sum of count * log2(count)
    let sum: u64 = counts.iter().map(|count| count * log2(*count)).sum();
    let all = (length * log2(length)).saturating_sub(sum);
    (all * 1000).checked_div(length << FRACTION).unwrap_or(0)
}

fn labels(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    name.split(|byte| *byte == b'.')
        .filter(|label| !label.is_empty())
}

/// Binary logarithm of a number below 2^31, as a fixed-point number; 0 for 0.
fn log2(number: u64) -> u64 {
    let Some(whole) = number.checked_ilog2().filter(|whole| *whole < 31) else {
        return 0;
    };
    let mut result = u64::from(whole);
    // Between 1 and 2, with 31 binary digits; squaring doubles the logarithm.
    let mut rest = number << (31 - whole);
    for _ in 0..FRACTION {
        rest = (rest * rest) >> 31;
        let carry = rest >> 32;
        rest >>= carry;
        result = result << 1 | carry;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_are_registrable_domains() {
        for (name, expected) in [
            ("a.b.host.example", Some("host.example")),
            ("A.Host.Example.", Some("host.example")),
            ("host.example", Some("host.example")),
            // A suffix itself is nobody's.
            ("example", None),
            ("a.host.co.uk", Some("host.co.uk")),
            ("co.uk", None),
            ("user.github.io", Some("user.github.io")),
            ("x.user.github.io", Some("user.github.io")),
            ("", None),
            (".", None),
        ] {
            let site = site(name.as_bytes());
            assert_eq!(site.as_deref(), expected.map(str::as_bytes), "{name}");
        }
        assert_eq!(site(&[b'a'; 300]), None);
    }

    #[test]
    fn labels_are_counted() {
        assert_eq!(count(b"a.bb.example"), 3);
        assert_eq!(count(b""), 0);
        assert_eq!(longest(b"a.bb.example"), b"example");
        assert_eq!(longest(b""), b"");
    }

    #[test]
    fn entropy_is_shannons() {
        for (label, bits) in [
            ("", 0),
            ("aaaa", 0),
            ("ab", 1000),
            ("abcd", 2000),
            ("aab", 918),
            ("0123456789abcdef", 4000),
            ("ABab", 1000),
        ] {
            let found = entropy(label.as_bytes());
            assert!(found.abs_diff(bits) <= 1, "{label}: {found}");
        }
        assert!(entropy(&[b'x'; 1 << 20]) == 0, "long labels are cut");
    }
}
