//! The files under `/etc` that name the host and the user.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{SetupError, USER_ID};
use crate::boot::BootError;

/// Host name, and the files that repeat it.
pub(super) fn host(name: &str) -> Result<(), SetupError> {
    let valid = !name.is_empty()
        && name.len() <= 63
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !valid {
        return Err(SetupError::Name {
            what: "the host name",
            name: name.into(),
        });
    }
    rustix::system::sethostname(name.as_bytes()).map_err(BootError::step("set the host name"))?;
    replace("/etc/hostname", &format!("{name}\n"), 0o644)?;
    let hosts = format!(
        "127.0.0.1\tlocalhost\n127.0.1.1\t{name}\n\n\
         ::1\tlocalhost ip6-localhost ip6-loopback\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n"
    );
    replace("/etc/hosts", &hosts, 0o644)?;
    // Any address would do: the kernel brings every question to the stub.
    replace("/etc/resolv.conf", "nameserver 127.0.0.53\n", 0o644)
}

/// Makes the user; returns its shell.
pub(super) fn user(name: &str, home: &Path) -> Result<&'static str, SetupError> {
    let shell = if Path::new("/bin/bash").exists() {
        "/bin/bash"
    } else {
        "/bin/sh"
    };
    let home = home.display();
    let id = USER_ID;
    let lines = [
        (
            "/etc/passwd",
            format!("{name}:x:{id}:{id}::{home}:{shell}"),
            Some(2),
            0o644,
        ),
        ("/etc/group", format!("{name}:x:{id}:"), Some(2), 0o644),
        (
            "/etc/shadow",
            format!("{name}:!:20089:0:99999:7:::"),
            None,
            0o640,
        ),
    ];
    for (path, line, id_field, mode) in lines {
        let old = match std::fs::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(BootError::file("read", path)(e).into()),
        };
        replace(path, &with_line(&old, name, id_field, &line), mode)?;
    }
    Ok(shell)
}

/// The file with this line in place of any of the same name or number.
fn with_line(old: &str, name: &str, id_field: Option<usize>, line: &str) -> String {
    let id = USER_ID.to_string();
    let same = |line: &&str| {
        let mut fields = line.split(':');
        let by_id = id_field.and_then(|at| line.split(':').nth(at)) == Some(id.as_str());
        by_id || fields.next() == Some(name)
    };
    let kept = old.lines().filter(|line| !same(line));
    kept.chain([line]).flat_map(|line| [line, "\n"]).collect()
}

/// A new file in the place of whatever is there; a link in the image is not followed.
fn replace(path: &str, text: &str, mode: u32) -> Result<(), SetupError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(BootError::file("replace", path)(e).into());
        }
        _ => {}
    }
    let write = || {
        let mut file = std::fs::File::create_new(path)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(text.as_bytes())
    };
    write().map_err(|e| BootError::file("write", path)(e).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_takes_the_place_of_the_images_own() {
        let old = "root:x:0:0:root:/root:/bin/bash\nnode:x:1000:1000::/home/node:/bin/sh\nana:x:7:7::/:\n";
        let new = with_line(old, "ana", Some(2), "ana:x:1000:1000::/home/ana:/bin/bash");
        assert_eq!(
            new,
            "root:x:0:0:root:/root:/bin/bash\nana:x:1000:1000::/home/ana:/bin/bash\n"
        );
        assert_eq!(with_line("a:!:1\n", "b", None, "b:!:2"), "a:!:1\nb:!:2\n");
    }
}
