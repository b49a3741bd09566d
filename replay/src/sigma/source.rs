//! Log sources: which of our events are whose records, and what their fields are.
//!
//! Owns: the maps from Sigma's fields to ours.
//! Must not: map a field that means something else.
//!
//! A Sigma rule is about one record of a log. Where one event of ours is several
//! records (auditd writes a SYSCALL, an EXECVE and PATH records for an exec),
//! the rule is asked about each of them by itself.

/// What a field of a record is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mapped {
    /// A field with text.
    Text(&'static str),
    /// A field with a number.
    Number(&'static str),
    /// A field with an address.
    Address(&'static str),
    /// The name of the call.
    Call,
    /// Always this text.
    Fixed(&'static str),
    /// Yes or no: whether the call succeeded.
    Success,
    /// What a path is in its call; see [`nametype`].
    NameType(bool),
    /// An argument of an exec.
    Argument(u8),
    /// A raw argument of a call.
    Raw(u8),
    /// Records of this sort have no such field.
    Absent,
    /// They have one, and it is not recorded.
    Missing,
}

/// One sort of record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// Which events are such records.
    pub(super) guard: &'static str,
    /// Its fields.
    fields: &'static [(&'static str, Mapped)],
    /// What a field is that is not among them.
    others: Mapped,
    /// Where keywords are searched for.
    pub(super) keywords: &'static [&'static str],
    /// What a finding says.
    pub(super) message: &'static str,
}

impl Record {
    pub(super) fn field(&self, name: &str) -> Mapped {
        let found = self.fields.iter().find(|(known, _)| *known == name);
        if let Some((_, mapped)) = found {
            return *mapped;
        }
        // a0, a1 … of exec records are text, of call records raw numbers.
        if let Some(number) = name.strip_prefix('a').and_then(|n| n.parse::<u8>().ok())
            && self.numbered() != Mapped::Absent
        {
            return match self.numbered() {
                Mapped::Argument(_) if number <= 31 => Mapped::Argument(number),
                Mapped::Raw(_) if number <= 3 => Mapped::Raw(number),
                _ => Mapped::Missing,
            };
        }
        self.others
    }

    fn numbered(&self) -> Mapped {
        match self.fields.first() {
            Some(("type", Mapped::Fixed("EXECVE"))) => Mapped::Argument(0),
            Some(("type", Mapped::Fixed("SYSCALL"))) => Mapped::Raw(0),
            _ => Mapped::Absent,
        }
    }
}

const PROCESS: &[Record] = &[Record {
    guard: "evt.type in (execve, execveat) and evt.failed = false",
    fields: &[
        ("Image", Mapped::Text("proc.exepath")),
        ("CommandLine", Mapped::Text("proc.exeline")),
        ("ParentImage", Mapped::Text("proc.pexepath")),
        ("ParentCommandLine", Mapped::Text("proc.pexeline")),
        ("CurrentDirectory", Mapped::Text("proc.cwd")),
        ("User", Mapped::Text("user.name")),
        ("LogonId", Mapped::Number("user.loginuid")),
        ("ProcessId", Mapped::Number("proc.pid")),
        ("ParentProcessId", Mapped::Number("proc.ppid")),
    ],
    others: Mapped::Missing,
    keywords: &["proc.exeline"],
    message: "%proc.exeline",
}];

const FILE: &[Record] = &[Record {
    guard: "evt.failed = false and fs.path.written exists \
            and (not evt.is_open_read exists or evt.is_open_create)",
    fields: &[
        ("TargetFilename", Mapped::Text("fs.path.written")),
        ("Image", Mapped::Text("proc.exepath")),
        ("User", Mapped::Text("user.name")),
        ("ProcessId", Mapped::Number("proc.pid")),
    ],
    others: Mapped::Missing,
    keywords: &["fs.path.written"],
    message: "%proc.name wrote %fs.path.written",
}];

const NETWORK: &[Record] = &[Record {
    guard: "evt.type = connect and fd.typechar in (4, 6)",
    fields: &[
        ("Image", Mapped::Text("proc.exepath")),
        ("DestinationHostname", Mapped::Text("net.name")),
        ("DestinationIp", Mapped::Address("fd.rip")),
        ("DestinationPort", Mapped::Number("fd.sport")),
        ("Protocol", Mapped::Text("fd.l4proto")),
        ("Initiated", Mapped::Fixed("true")),
        ("User", Mapped::Text("user.name")),
        ("ProcessId", Mapped::Number("proc.pid")),
    ],
    others: Mapped::Missing,
    keywords: &["fd.name", "net.name"],
    message: "%proc.name connected to %fd.name %net.name",
}];

const EXECVE: Record = Record {
    guard: "evt.type in (execve, execveat) and evt.failed = false",
    fields: &[("type", Mapped::Fixed("EXECVE")), ("argc", Mapped::Missing)],
    others: Mapped::Absent,
    keywords: &["proc.exeline"],
    message: "%proc.exeline",
};

const SYSCALL: Record = Record {
    guard: "evt.failed exists",
    fields: &[
        ("type", Mapped::Fixed("SYSCALL")),
        ("SYSCALL", Mapped::Call),
        ("syscall", Mapped::Missing),
        ("exe", Mapped::Text("proc.exepath")),
        ("comm", Mapped::Text("proc.comm")),
        ("key", Mapped::Missing),
        ("success", Mapped::Success),
        ("exit", Mapped::Number("evt.rawres")),
        ("pid", Mapped::Number("proc.pid")),
        ("ppid", Mapped::Number("proc.ppid")),
        ("euid", Mapped::Number("user.uid")),
        ("uid", Mapped::Missing),
        ("auid", Mapped::Number("user.loginuid")),
        ("tty", Mapped::Missing),
    ],
    others: Mapped::Absent,
    keywords: &["proc.exepath", "proc.comm"],
    message: "%proc.exeline called %evt.type",
};

const PATH: Record = Record {
    guard: "evt.failed exists and fs.path.name exists",
    fields: &[
        ("type", Mapped::Fixed("PATH")),
        ("name", Mapped::Text("fs.path.name")),
        ("nametype", Mapped::NameType(false)),
        ("mode", Mapped::Missing),
        ("ouid", Mapped::Missing),
        ("inode", Mapped::Missing),
    ],
    others: Mapped::Absent,
    keywords: &["fs.path.name"],
    message: "%proc.exeline: %evt.type %fs.path.name",
};

const OTHER_PATH: Record = Record {
    guard: "evt.failed exists and fs.path.target exists",
    fields: &[
        ("type", Mapped::Fixed("PATH")),
        ("name", Mapped::Text("fs.path.target")),
        ("nametype", Mapped::NameType(true)),
        ("mode", Mapped::Missing),
        ("ouid", Mapped::Missing),
        ("inode", Mapped::Missing),
    ],
    others: Mapped::Absent,
    keywords: &["fs.path.target"],
    message: "%proc.exeline: %evt.type %fs.path.name %fs.path.target",
};

const AUDITD: &[Record] = &[EXECVE, SYSCALL, PATH, OTHER_PATH];

/// The sorts of records of a log source; else why there are none.
pub(super) fn records(
    product: Option<&str>,
    category: Option<&str>,
    service: Option<&str>,
) -> Result<&'static [Record], String> {
    if let Some(product) = product.filter(|product| *product != "linux") {
        return Err(format!("logs of `{}`", product.escape_debug()));
    }
    match (category, service) {
        (Some("process_creation"), None) => Ok(PROCESS),
        (Some("file_event"), None) => Ok(FILE),
        (Some("network_connection"), None) => Ok(NETWORK),
        (None, Some("auditd")) => Ok(AUDITD),
        (Some(category), _) => Err(format!("events of `{}`", category.escape_debug())),
        (None, Some(service)) => Err(format!("the log of `{}`", service.escape_debug())),
        (None, None) => Err("text logs: the rule names no source of its own".to_owned()),
    }
}

/// Calls in which a path of an auditd record has this `nametype`; `second`: the
/// call's second path.
pub(super) fn nametype(value: &str, second: bool) -> Option<&'static str> {
    let table: &[(&str, bool, &str)] = &[
        (
            "create",
            false,
            "(evt.is_open_create or evt.type in (mkdir, mkdirat, mknod, mknodat, symlink, symlinkat))",
        ),
        (
            "create",
            true,
            "evt.type in (rename, renameat, renameat2, link, linkat, symlink, symlinkat)",
        ),
        (
            "delete",
            false,
            "evt.type in (unlink, unlinkat, rmdir, rename, renameat, renameat2)",
        ),
        ("delete", true, "evt.num < 0"),
    ];
    let found = table
        .iter()
        .find(|(name, of_second, _)| name.eq_ignore_ascii_case(value) && *of_second == second);
    found.map(|(_, _, text)| *text)
}

/// To read detections with whose records are not known.
pub(super) fn fallback() -> &'static [Record] {
    PROCESS
}
