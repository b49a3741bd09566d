//! Measuring, cutting, wrapping.

use proptest::prelude::*;

use crate::screen::density::Density;
use crate::screen::text::*;

#[test]
fn cuts_at_cells_not_at_characters() {
    assert_eq!(cut("abcdef", 6), "abcdef");
    assert_eq!(cut("abcdef", 5), "abcd…");
    assert_eq!(cut("日本語", 5), "日本…");
    assert_eq!(cut("日本語", 4), "日…");
    assert_eq!(cut("日本語", 0), "");
    assert_eq!(cut_start("/a/b/日本", 6), "…/日本");
    assert_eq!(fit("ab", 4), "ab  ");
    assert_eq!(fit("日本語", 4), "日… ");
}

#[test]
fn numbers_are_short() {
    assert_eq!(grouped(1_234_567), "1,234,567");
    assert_eq!(
        [short(999), short(1_250), short(34_000), short(u64::MAX)],
        ["999", "1.2k", "34k", "18E"]
    );
    assert_eq!(bytes(489_000), "489 kB");
    assert_eq!(
        [clock(7_450_000_000), clock(3_725_000_000_000)],
        ["0:07.4", "1:02:05.0"]
    );
    assert_eq!(
        [
            span(412_000_000),
            span(7_450_000_000),
            span(200_000_000_000)
        ],
        ["412 ms", "7.4 s", "3 m"]
    );
}

#[test]
fn density_keeps_every_count_in_bounded_memory() {
    let mut density = Density::default();
    for at in 0..10_000u64 {
        density.add(5_000 + at * 100_000_000);
    }
    let bars = density.bars(5_000 + 9_999 * 100_000_000, 50);
    assert_eq!(bars.len(), 50);
    assert!(
        bars.iter().all(|height| *height >= 7),
        "an even run is even: {bars:?}"
    );
    assert_eq!(Density::default().bars(9, 3), [0, 0, 0]);
    density.add(u64::MAX);
    density.add(0);
    assert_eq!(density.bars(u64::MAX, 4)[3], 1);
}

proptest! {
    #[test]
    fn nothing_is_wider_than_its_room(raw in proptest::collection::vec(any::<u8>(), 0..80), room in 0usize..40) {
        let text = safe(&raw);
        prop_assert!(width(&cut(&text, room)) <= room);
        prop_assert!(width(&cut_start(&text, room)) <= room);
        prop_assert!(width(&fit(&text, room)) <= room);
        // One character is never split, however wide.
        prop_assert!(wrap(&text, room).iter().all(|line| width(line) <= room.max(2)));
    }

    #[test]
    fn wrapping_loses_nothing(text in "[a-z ]{0,80}", room in 1usize..20) {
        let squeezed = |text: &str| text.replace(' ', "");
        prop_assert_eq!(squeezed(&wrap(&text, room).concat()), squeezed(&text));
    }
}
