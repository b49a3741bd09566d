//! The layout in plain numbers, so that a change of it cannot go unnoticed.

use super::*;

#[test]
fn the_header_is_what_the_documentation_says() {
    let (bytes, ..) = write(&[], 1);
    assert_eq!(&bytes[..8], b"\x89BJT\r\n\x1a\n");
    assert_eq!(&bytes[8..12], [1, 0, 0, 0]);
    assert_eq!(&bytes[12..16], b"STRT");
    assert_eq!(&bytes[bytes.len() - 4..], b"TJB\n");
}

#[test]
fn chain_values_cover_tag_length_and_body() {
    let (bytes, _, receipt) = write(&[], 1);
    let mut previous: [u8; 32] = blake3::hash(&bytes[..12]).into();
    let mut at = 12;
    let mut tags = Vec::new();
    while at < bytes.len() {
        let length = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
        let body = &bytes[at + 40..at + 40 + length];
        let hash = blake3::hash(&[&previous, &bytes[at..at + 8], body].concat());
        assert_eq!(bytes[at + 8..at + 40], *hash.as_bytes());
        tags.push(String::from_utf8(bytes[at..at + 4].to_vec()).unwrap());
        previous = hash.into();
        at += 40 + length;
    }
    assert_eq!(tags, ["STRT", "BLCK", "INDX", "FOOT"]);
    assert_eq!(receipt.chain, previous);
}
