use belljar_event::Text;
use proptest::prelude::*;

use super::*;

const ONE: &str = "h7KqPz2LmX9sVb4TnRf6YwGc8JdA1eUoQi5ZtB3k";
const TWO: &str = "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY1zA2bC3d";

fn canaries() -> Canaries {
    let decoy = |canary: &str| Decoy {
        path: Text::new("/home/u/.ssh/id_rsa"),
        kind: "ssh key".into(),
        canary: canary.into(),
    };
    Canaries::of(&Decoys {
        decoys: vec![decoy(ONE), decoy(TWO)],
    })
}

/// What a piece-wise look finds, in order.
fn seen(bytes: &[u8], piece: usize) -> Vec<(u32, Encoding)> {
    let mut watch = canaries().watch();
    let mut all = Vec::new();
    for part in bytes.chunks(piece) {
        watch.look(part, &mut |seen| all.push((seen.decoy, seen.encoding)));
    }
    all
}

/// Whole bytes in an alphabet: what other tools make.
fn encoded(bytes: &[u8], alphabet: &[u8], bits: usize) -> Vec<u8> {
    let (mut held, mut width, mut out) = (0usize, 0, Vec::new());
    for byte in bytes {
        held = held << 8 | usize::from(*byte);
        width += 8;
        while width >= bits {
            width -= bits;
            out.push(alphabet[held >> width]);
            held &= (1 << width) - 1;
        }
    }
    if width > 0 {
        out.push(alphabet[held << (bits - width)]);
    }
    out
}

#[test]
fn other_peoples_encoders_are_understood() {
    // Made with coreutils: `printf … | base64 -w 40`, `base32 -w 0`, `xxd -p -u`, `rev`.
    for (text, encoding) in [
        (
            "a{h7KqPz2LmX9sVb4TnRf6YwGc8JdA1eUoQi5ZtB3k}",
            Encoding::Plain,
        ),
        (
            "k3BtZ5iQoUe1AdJ8cGwY6fRnT4bVs9XmL2zPqK7h",
            Encoding::Reversed,
        ),
        (
            "eAo9aDdLcVB6MkxtWDlzVmI0VG5SZjZZd0djOEpk\nQTFlVW9RaTVadEIzawo=\n",
            Encoding::Base64,
        ),
        (
            "NA3UW4KQPIZEY3KYHFZVMYRUKRXFEZRWLF3UOYZYJJSECMLFKVXVC2JVLJ2EEM3L",
            Encoding::Base32,
        ),
        (
            "68374B71507A324C6D583973566234546E5266365977476338\n4A64413165556F5169355A7442336B",
            Encoding::Hex,
        ),
        ("k=%68%37%4b%71%50%7a%32%4c%6d%58", Encoding::Percent),
        ("h7KqPz2L%6DX9sVb4", Encoding::Percent),
        ("{\"x\": \"h7KqPz2\\nLmX9s\"}", Encoding::Plain),
    ] {
        for piece in [1, 2, 7, 1000] {
            assert_eq!(
                seen(text.as_bytes(), piece),
                [(0, encoding)],
                "{text} by {piece}"
            );
        }
    }
}

#[test]
fn every_place_among_neighbours_is_known() {
    for before in 0..16 {
        for (alphabet, bits, _, encoding) in ALPHABETS {
            let text = [&vec![b'x'; before][..], ONE.as_bytes(), b"yz"].concat();
            let written = encoded(&text, alphabet, *bits);
            assert_eq!(seen(&written, 5), [(0, *encoding)], "{before} {encoding:?}");
        }
    }
}

#[test]
fn a_quarter_is_enough_and_less_is_nothing() {
    for start in (0..40).step_by(10) {
        assert_eq!(
            seen(&ONE.as_bytes()[start..start + 10], 3),
            [(0, Encoding::Plain)]
        );
        assert_eq!(seen(&ONE.as_bytes()[start..start + 9], 3), []);
    }
    // Whatever nineteen letters in a row are taken, a quarter is among them.
    for start in 0..=40 - 19 {
        assert_eq!(
            seen(&ONE.as_bytes()[start..start + 19], 4).len(),
            1,
            "{start}"
        );
    }
}

#[test]
fn each_decoy_and_form_is_told_once_and_where_it_ended() {
    let text = format!("--{ONE}--{TWO}--{ONE}");
    let mut all = Vec::new();
    canaries()
        .watch()
        .look(text.as_bytes(), &mut |seen| all.push(seen));
    let told: Vec<_> = all.iter().map(|seen| (seen.decoy, seen.at)).collect();
    assert_eq!(told, [(0, 12), (1, 54)]);
}

#[test]
fn names_are_looked_at_without_their_dots() {
    let canaries = canaries();
    let hex = crate::hex(ONE.as_bytes());
    let name = format!("{}.{}.{}.example", &hex[..20], &hex[20..61], &hex[61..]);
    assert_eq!(
        canaries
            .find_in_name(name.as_bytes())
            .map(|seen| seen.encoding),
        Some(Encoding::Hex)
    );
    let split: Vec<_> = ONE.to_ascii_lowercase().chars().map(String::from).collect();
    assert!(canaries.find_in_name(split.join(".").as_bytes()).is_some());
    assert_eq!(canaries.find_in_name(b"files.example"), None);
}

#[test]
fn hostile_decoys_cost_little_and_match_nothing() {
    for canary in [
        "",
        "canary",
        "%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%",
        "é\u{202e}aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ] {
        let decoy = Decoy {
            path: Text::new("/x"),
            kind: "x".into(),
            canary: canary.into(),
        };
        let canaries = Canaries::of(&Decoys {
            decoys: vec![decoy; 5000],
        });
        assert_eq!(canaries.find(canary.repeat(3).as_bytes()), None);
        assert!(!canaries.has_room());
        assert!(canaries.decoy(u32::MAX).is_none());
    }
}

proptest! {
    #[test]
    fn pieces_of_any_size_make_no_difference(
        head in proptest::collection::vec(any::<u8>(), 0..40),
        tail in proptest::collection::vec(any::<u8>(), 0..40),
        by in 1usize..60,
    ) {
        let bytes = [&head[..], ONE.as_bytes(), &tail[..]].concat();
        let whole = seen(&bytes, 10_000);
        prop_assert_eq!(&seen(&bytes, by), &whole);
        prop_assert!(!whole.is_empty());
    }

    #[test]
    fn nothing_else_is_taken_for_one(bytes in proptest::collection::vec(any::<u8>(), 0..4000)) {
        prop_assert_eq!(seen(&bytes, 64), []);
    }
}
