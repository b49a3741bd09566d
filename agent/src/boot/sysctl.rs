//! Kernel settings for a machine whose users are hostile.

use std::path::Path;

use super::BootError;

/// Settings under `/proc/sys`. One that this kernel lacks is skipped; one that
/// it refuses ends the boot.
const SETTINGS: &[(&str, &str)] = &[
    ("kernel/dmesg_restrict", "1"),
    ("kernel/kptr_restrict", "1"),
    ("kernel/perf_event_paranoid", "3"),
    ("kernel/unprivileged_bpf_disabled", "1"),
    ("kernel/yama/ptrace_scope", "1"),
    ("kernel/sysrq", "0"),
    // Half a kernel enforces nothing: an oops ends the machine.
    ("kernel/panic_on_oops", "1"),
    // Nor does one that ends processes by its own choice. The payload's own
    // limit is reached before, and is no reason to panic.
    ("vm/panic_on_oom", "1"),
    ("user/max_user_namespaces", "0"),
    ("vm/unprivileged_userfaultfd", "0"),
    ("fs/protected_hardlinks", "1"),
    ("fs/protected_symlinks", "1"),
    ("fs/protected_fifos", "1"),
    ("fs/protected_regular", "2"),
];

/// Applies them.
pub(crate) fn apply() -> Result<(), BootError> {
    for (name, value) in SETTINGS {
        let path = Path::new("/proc/sys").join(name);
        if path.exists() {
            std::fs::write(&path, value).map_err(BootError::file("set", &path))?;
        }
    }
    Ok(())
}
