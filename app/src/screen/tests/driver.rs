//! The driver on a real pseudo-terminal, where only a panic of its own shows what
//! becomes of the terminal. Nothing in the shipped program panics on demand: the
//! panicking part is a test that another test starts in a process of its own.

use std::io::{Read, Write};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

use super::{model, story};
use crate::screen::model::{Effect, Mode, Msg};
use crate::screen::run::{Options, run};

const WORDS: &str = "the screen broke on purpose";

#[test]
#[ignore = "panics: started by the test below, on a terminal of its own"]
fn panics_on_a_terminal() {
    let (send, source) = channel();
    send.send(Msg::Entries(story::unfinished())).unwrap();
    let obey = |effect: &Effect| assert!(*effect != Effect::Quit, "{WORDS}");
    drop(run(
        model(Mode::Live, "dark"),
        &source,
        obey,
        Options::default(),
    ));
    // Not reached: leaving the screen is what breaks it.
}

#[test]
fn a_panic_gives_the_terminal_back_and_is_read_on_it() {
    let window = PtySize {
        rows: 40,
        cols: 120,
        pixel_width: 0,
        pixel_height: 0,
    };
    let pty = native_pty_system().openpty(window).unwrap();
    let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
    let name = "screen::tests::driver::panics_on_a_terminal";
    command.args([name, "--exact", "--ignored", "--nocapture"]);
    command.env("TERM", "xterm-256color");
    let mut child = pty.slave.spawn_command(command).unwrap();
    drop(pty.slave);
    let mut keys = pty.master.take_writer().unwrap();
    let mut reader = pty.master.try_clone_reader().unwrap();
    let (send, read) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(count @ 1..) = reader.read(&mut buffer) {
            drop(send.send(buffer[..count].to_vec()));
        }
    });
    let mut parser = vt100::Parser::default();
    parser
        .screen_mut()
        .set_size(40.try_into().unwrap(), 120.try_into().unwrap());
    let mut all = Vec::new();
    let (begun, mut pressed) = (Instant::now(), false);
    while child.try_wait().unwrap().is_none() || !pressed {
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "{}",
            parser.screen().contents()
        );
        if let Ok(bytes) = read.recv_timeout(Duration::from_millis(50)) {
            parser.process(&bytes);
            all.extend(bytes);
        }
        if !pressed && parser.screen().contents().contains("processes") {
            assert!(parser.screen().alternate_screen() && parser.screen().bracketed_paste());
            // Leave, although the run goes on.
            keys.write_all(b"qy").unwrap();
            pressed = true;
        }
    }
    while let Ok(bytes) = read.recv_timeout(Duration::from_millis(500)) {
        parser.process(&bytes);
    }
    let screen = parser.screen();
    assert!(!screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste());
    assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
    assert!(screen.contents().contains(WORDS), "{}", screen.contents());
    let modes = pty.master.get_termios().expect("the terminal's modes");
    let flags = format!("{:?}", modes.local_flags);
    assert!(
        flags.contains("ICANON") && flags.contains("ECHO"),
        "{flags}"
    );
}
