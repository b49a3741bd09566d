//! Whether an ordinary user may build: subordinate user and group ids.
//!
//! Owns: reading `/etc/subuid` and `/etc/subgid`. Must not: change them.

use std::fs;

use super::ImageError;

/// Ids a Debian tree needs: its highest is 65534.
const ENOUGH: u64 = 65_536;
/// Where systems begin to hand them out.
const FIRST: u64 = 100_000;

/// Fails with the line that helps, if this user has too few ids of either kind.
pub(crate) fn check() -> Result<(), ImageError> {
    let uid = rustix::process::getuid().as_raw().to_string();
    let user = user_name(&fs::read_to_string("/etc/passwd").unwrap_or_default(), &uid)
        .unwrap_or_else(|| uid.clone());
    let files = ["/etc/subuid", "/etc/subgid"];
    let texts = files.map(|file| fs::read_to_string(file).unwrap_or_default());
    let start = free_start(&texts);
    let lacking = files
        .into_iter()
        .zip(&texts)
        .filter(|(_, text)| !has_range(text, &[user.as_str(), uid.as_str()]))
        .map(|(file, _)| file);
    match lacking.collect::<Vec<_>>().as_slice() {
        [] => Ok(()),
        files => Err(ImageError::Unprivileged {
            why: format!(
                "{user} has no range of {ENOUGH} ids in {}",
                files.join(" and ")
            ),
            hint: format!(
                "sudo usermod --add-subuids {start}-{end} --add-subgids {start}-{end} {user}",
                end = start + ENOUGH - 1
            ),
        }),
    }
}

/// Where a range begins that nobody has yet: behind all others.
pub(super) fn free_start(texts: &[String]) -> u64 {
    let lines = texts.iter().flat_map(|text| text.lines());
    let ends = lines.filter_map(|line| {
        let mut numbers = line.split(':').skip(1);
        let mut next = || numbers.next()?.trim().parse::<u64>().ok();
        next()?.checked_add(next()?)
    });
    // Ids have 32 bits; where somebody has the last ones, the usual place is named.
    let room = |end: &u64| *end < u64::from(u32::MAX) - ENOUGH;
    ends.max().filter(room).map_or(FIRST, |end| end.max(FIRST))
}

/// The name of `uid` in a passwd text.
pub(super) fn user_name(passwd: &str, uid: &str) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    })
}

/// Whether one of `owners` has a large enough range in a `name:start:count` text.
pub(super) fn has_range(text: &str, owners: &[&str]) -> bool {
    text.lines().any(|line| {
        let mut fields = line.split(':');
        let owner = fields.next().is_some_and(|owner| owners.contains(&owner));
        let count = fields
            .nth(1)
            .and_then(|count| count.trim().parse::<u64>().ok());
        owner && count.is_some_and(|count| count >= ENOUGH)
    })
}
