//! What the guest pretends to be: names that an ordinary developer's machine
//! could have, new for each run (sandbox-detecting malware looks for known ones).

const USERS: &[&str] = &[
    "mira", "jonas", "elena", "tobias", "priya", "marek", "sofia", "daniel", "hana", "lukas",
    "irene", "oscar",
];
const HOSTS: &[&str] = &[
    "thinkpad",
    "latitude",
    "workstation",
    "devbox",
    "precision",
    "xps",
    "elitebook",
    "desk",
];

/// A login name and a host name.
pub(crate) fn pick(mut random: impl FnMut() -> u8) -> (String, String) {
    let mut choose = |names: &[&str]| {
        let at = usize::from(random()) % names.len().max(1);
        names.get(at).copied().unwrap_or("dev").to_owned()
    };
    let (user, host) = (choose(USERS), choose(HOSTS));
    (user, format!("{host}-{:02x}", random()))
}
