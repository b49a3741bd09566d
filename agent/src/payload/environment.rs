//! The payload's environment: a login's, then the image's, then the launch's.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use crate::setup::Place;

/// What the image says every login gets (as PAM reads it).
const IMAGE: &str = "/etc/environment";
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games";

/// Name to value; later sources win.
pub(super) type Environment = BTreeMap<String, String>;

pub(super) fn of(place: &Place, launch: &[(String, String)]) -> Environment {
    let home = place.home.display();
    let login = [
        ("HOME", home.to_string()),
        ("USER", place.user.clone()),
        ("LOGNAME", place.user.clone()),
        ("SHELL", place.shell.into()),
        ("PWD", place.project.display().to_string()),
        ("PATH", format!("{home}/.local/bin:{PATH}")),
        ("LANG", "C.UTF-8".into()),
        ("TERM", "xterm-256color".into()),
        // No input comes from the terminal: whoever asks would wait for ever.
        ("DEBIAN_FRONTEND", "noninteractive".into()),
        ("PIP_NO_INPUT", "1".into()),
        ("npm_config_yes", "true".into()),
    ];
    let login = login
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    let image = std::fs::read(IMAGE).unwrap_or_default();
    let image = parse(&String::from_utf8_lossy(&image));
    let launch = launch.iter().filter(|(name, _)| is_name(name)).cloned();
    login.chain(image).chain(launch).collect()
}

/// `NAME=value` lines, quotes and a leading `export` allowed.
fn parse(text: &str) -> Vec<(String, String)> {
    let line = |line: &str| {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=')?;
        let value = value.trim();
        let inner = ['"', '\'']
            .iter()
            .find_map(|q| value.strip_prefix(*q)?.strip_suffix(*q));
        is_name(name).then(|| (name.to_owned(), inner.unwrap_or(value).to_owned()))
    };
    text.lines().filter_map(line).collect()
}

fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    name.bytes().all(plain) && name.bytes().next().is_some_and(|b| !b.is_ascii_digit())
}

/// As `execve` takes it.
pub(super) fn lines(environment: &Environment) -> impl Iterator<Item = Vec<u8>> {
    environment
        .iter()
        .map(|(name, value)| format!("{name}={value}").into_bytes())
}

/// Where the program may be, in order.
pub(super) fn candidates(
    program: &[u8],
    environment: &Environment,
) -> impl Iterator<Item = Vec<u8>> {
    let direct = program.contains(&b'/').then(|| program.to_vec());
    let search = match direct {
        Some(_) => "",
        None => environment.get("PATH").map_or(PATH, String::as_str),
    };
    let name = OsStr::from_bytes(program);
    let found = search.split(':').filter(|folder| !folder.is_empty());
    let join = |folder| Path::new(folder).join(name).into_os_string().into_vec();
    let found: Vec<_> = found.map(join).collect();
    direct.into_iter().chain(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_image() {
        let text = "# no\nA=1\nexport B=\"two words\"\n C_3='x'\n9=bad\nnothing\nD=a=b\n";
        let want = [("A", "1"), ("B", "two words"), ("C_3", "x"), ("D", "a=b")];
        assert_eq!(parse(text), want.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[test]
    fn programs_are_searched_unless_they_are_paths() {
        let env = Environment::from([("PATH".into(), "/a::/b".into())]);
        let found: Vec<_> = candidates(b"sh", &env).collect();
        assert_eq!(found, [b"/a/sh".to_vec(), b"/b/sh".to_vec()]);
        assert_eq!(
            candidates(b"./sh", &env).collect::<Vec<_>>(),
            [b"./sh".to_vec()]
        );
    }
}
