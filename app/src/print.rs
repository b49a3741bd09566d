//! The only place that writes to standard output and standard error outside the screen.

use std::io::{ErrorKind, IsTerminal, Write};

/// Writes to standard output. A reader that went away is no failure.
pub(crate) fn out(text: &str) {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            self::error(&format!(
                "belljar: cannot write to standard output: {error}"
            ));
        }
        _ => {}
    }
}

/// Writes a line to standard error; if that fails there is nobody left to tell.
pub(crate) fn error(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// True if a screen can be shown and keys can be read.
pub(crate) fn interactive() -> bool {
    std::io::stdout().is_terminal() && std::io::stdin().is_terminal()
}

/// Columns for tables.
pub(crate) fn width() -> usize {
    match crossterm::terminal::size() {
        Ok((columns, _)) if std::io::stdout().is_terminal() => usize::from(columns).clamp(60, 160),
        _ => 100,
    }
}
