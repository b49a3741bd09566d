//! Seeking, stepping and pace: whatever the way, the picture is that of a fold from the start.

use belljar_recorder::Entry;
use belljar_replay::rules::RuleSet;
use belljar_replay::session::Session;

use super::story;
use crate::screen::player::{Motion, Player, SECOND};

fn fold(entries: &[Entry]) -> String {
    let mut session = Session::new(RuleSet::builtin());
    for entry in entries {
        session.push(entry);
    }
    shown(&session)
}

/// Everything that a screen reads of a session.
fn shown(session: &Session) -> String {
    format!(
        "{:#?}\n{:#?}\n{:#?}\n{:#?}\n{:#?}\n{:#?}\n{:#?}\n{:?}",
        session.overview(),
        session.judgement(),
        session.processes(),
        session.files(),
        session.destinations(),
        session.names(),
        session.findings(),
        session.output(),
    )
}

fn player(motion: Motion) -> Player {
    Player::new(Session::new(RuleSet::builtin()), motion, None)
}

/// Many events, more than lie between two checkpoints.
fn long() -> Vec<Entry> {
    long_of(9000)
}

fn long_of(opens: usize) -> Vec<Entry> {
    let mut story = story::Story::new();
    story::boot(&mut story);
    story::install(&mut story, 20);
    for at in 0..opens {
        story.open(300, &format!("/tmp/f{}", at % 700), 0, 3);
    }
    story::steal(&mut story);
    story.record(None).0
}

#[test]
fn any_seek_equals_a_fold_from_the_start() {
    let entries = long();
    let mut player = player(Motion::Paused);
    player.append(entries.clone());
    let len = entries.len();
    for target in [
        len,
        0,
        5000,
        4999,
        4096,
        8192,
        100,
        len - 1,
        len - 2,
        6000,
        len,
    ] {
        player.seek(target);
        assert_eq!(player.position(), target);
        assert_eq!(
            shown(player.session()),
            fold(&entries[..target]),
            "at {target}"
        );
    }
}

#[test]
fn stepping_back_and_forth_equals_a_fold_from_the_start() {
    let (entries, _) = story::theft();
    let mut player = player(Motion::Paused);
    player.append(entries.clone());
    for target in (0..=entries.len()).rev().chain(0..=entries.len()) {
        player.seek(target);
        if target.is_multiple_of(9) {
            assert_eq!(
                shown(player.session()),
                fold(&entries[..target]),
                "at {target}"
            );
        }
    }
}

/// Until it has got there, what was shown before is: never something between.
#[test]
fn a_far_move_is_folded_in_pieces() {
    let entries = long_of(23_000);
    let mut player = player(Motion::Paused);
    player.append(entries.clone());
    player.fold_at_once(100);
    player.seek(50);
    let before = shown(player.session());
    // Forward, back, on before it has got there, and to where it stands.
    for target in [4_000, 3_000, 8_100, 12_000, 12_050, 20_000, 20_000, 50] {
        let stood = player.is_on_its_way();
        player.seek(target);
        assert_eq!(player.position(), target);
        let version = player.fold();
        let mut pieces = 0;
        while player.is_on_its_way() {
            assert!(target != 4_000 || shown(player.session()) == before);
            assert_eq!(player.fold(), version, "nothing new is shown");
            // Not every move is waited for.
            if target == 8_100 {
                break;
            }
            player.go_on();
            pieces += 1;
        }
        if player.is_on_its_way() {
            continue;
        }
        assert!(pieces > 0 || !stood);
        let fresh = fold(&entries[..target]);
        assert_eq!(shown(player.session()), fresh, "at {target}");
    }
    player.seek(15_000);
    player.seek(entries.len());
    assert!(!player.is_on_its_way() && player.session().counts() == player.tip().counts());
}

#[test]
fn playing_shows_each_event_at_its_time() {
    let (entries, _) = story::theft();
    let mut player = player(Motion::Playing);
    player.append(entries.clone());
    let first = entries[0].at();
    for _ in 0..500 {
        player.tick(10_000_000);
        while player.is_behind() {
            player.play_on();
        }
        let due = entries
            .iter()
            .filter(|entry| entry.at() <= player.now())
            .count();
        assert_eq!(player.position(), due);
    }
    assert_eq!(player.position(), entries.len());
    assert!(player.now() - first < 5 * SECOND);
}

#[test]
fn idle_time_is_cut_short() {
    let mut story = story::Story::new();
    story::boot(&mut story);
    story.wait(3_600_000).exit(300, 0);
    let entries = story.record(None).0;
    let mut player = player(Motion::Playing);
    player.append(entries.clone());
    let boot = entries[entries.len() - 2].at() - entries[0].at();
    player.tick(boot);
    assert_eq!(player.position(), entries.len() - 1);
    player.tick(SECOND * 19 / 10);
    assert_eq!(
        player.position(),
        entries.len() - 1,
        "two seconds are not over"
    );
    player.tick(SECOND * 2 / 10);
    assert_eq!(player.position(), entries.len());
}

#[test]
fn speed_has_bounds_and_scales() {
    let (entries, _) = story::theft();
    let at_speed = |changes: usize| {
        let mut player = player(Motion::Playing);
        player.append(entries.clone());
        for _ in 0..changes {
            player.change_speed(true);
        }
        player.tick(100_000_000);
        player.now() - entries[0].at()
    };
    assert_eq!(at_speed(0), 100_000_000);
    assert_eq!(at_speed(1), 200_000_000);
    let mut player = player(Motion::Playing);
    for _ in 0..50 {
        player.change_speed(true);
    }
    assert_eq!(player.speed(), "64×");
    for _ in 0..50 {
        player.change_speed(false);
    }
    assert_eq!(player.speed(), "0.25×");
}

#[test]
fn what_lies_close_together_is_played_in_pieces() {
    let entries = long_of(20_000);
    let mut player = player(Motion::Playing);
    player.append(entries.clone());
    let mut before = 0;
    let mut pieces = 0;
    player.tick(1000 * SECOND);
    loop {
        let (position, now) = (player.position(), player.now());
        assert!(position > before && position - before <= 1_000);
        // The time that is shown is that of what is shown.
        let next = entries.get(position).map_or(u64::MAX, Entry::at);
        assert!(now <= next, "{now} is after {next}");
        (before, pieces) = (position, pieces + 1);
        if !player.is_behind() {
            break;
        }
        player.play_on();
    }
    assert_eq!(player.position(), entries.len());
    assert!(pieces >= 10);
}

#[test]
fn a_paused_view_stays_while_the_recording_goes_on() {
    let (entries, _) = story::theft();
    let (early, late) = entries.split_at(entries.len() / 2);
    let mut player = player(Motion::Following);
    player.append(early.to_vec());
    player.set_motion(Motion::Paused);
    player.append(late.to_vec());
    assert_eq!(
        (player.position(), player.len()),
        (early.len(), entries.len())
    );
    assert_eq!(shown(player.session()), fold(early));
    assert_eq!(shown(player.tip()), fold(&entries));
    player.set_motion(Motion::Following);
    assert_eq!(shown(player.session()), fold(&entries));
}

#[test]
fn sequence_numbers_find_their_entry() {
    let (entries, _) = story::theft();
    let mut player = player(Motion::Paused);
    player.append(entries.clone());
    assert_eq!(player.index_of(7), Some(7));
    assert_eq!(player.index_of(u64::MAX), None);
}

/// More than one piece is folded at a time, and the playhead stands in the middle.
#[test]
fn other_rules_come_in_force_all_at_once() {
    let entries = long_of(23_000);
    let mut player = player(Motion::Paused);
    player.append(entries.clone());
    player.seek(12_345);
    let before = shown(player.session());
    player.rejudge(player.empty().clone());
    assert!(!player.rejudge_on(), "it takes more than one piece");
    assert_eq!(shown(player.session()), before);
    assert_eq!(player.rejudged().map(|(_, all)| all), Some(entries.len()));
    while !player.rejudge_on() {}
    assert!(player.rejudged().is_none());
    // The rules are the same, so nothing differs: not here, and not where it is sought.
    assert_eq!(
        (player.position(), shown(player.session())),
        (12_345, before)
    );
    for target in [0, 9000, entries.len(), 20_001] {
        player.seek(target);
        let fresh = fold(&entries[..target]);
        assert_eq!(shown(player.session()), fresh, "at {target}");
    }
}

#[test]
fn a_pause_is_as_long_as_it_is_said() {
    let mut story = story::Story::new();
    story::boot(&mut story);
    story.wait(60_000);
    story.say("later");
    let entries = story.record(None).0;
    for (idle, ticks) in [(None, 2), (Some(10 * SECOND), 10), (Some(SECOND / 10), 0)] {
        let mut player = Player::new(Session::new(RuleSet::builtin()), Motion::Playing, idle);
        player.append(entries.clone());
        let mut count = 0;
        while player.position() < player.len() && count < 100 {
            player.tick(SECOND / 2);
            count += 1;
        }
        // Besides the pause there is a moment of other things.
        assert!(
            (ticks * 2..=ticks * 2 + 4).contains(&count),
            "{idle:?}: {count}"
        );
    }
}
