//! Every field that a condition can name: one table with name, type and meaning.
//!
//! Owns: [`Field`], [`FIELDS`], the types of fields. The parser, the type
//! check, help and docs are made from this table.
//! Must not: know where a value comes from (see [`super::Subject`]).

use std::fmt;

use super::value::Value;

/// What kind of value a field has, and so what it may be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// True or false.
    Bool,
    /// A signed number.
    Int,
    /// Bytes, compared exactly.
    Text,
    /// An event type: the name of a system call or of an event kind.
    EventType,
    /// A host name, compared without regard to ASCII case.
    Name,
    /// A host name whose `in` also matches every parent domain.
    Domain,
    /// An IPv4 or IPv6 address; may also be compared with a network (`10.0.0.0/8`).
    Ip,
}

impl Type {
    /// How messages and help call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "a boolean",
            Self::Int => "a number",
            Self::Text => "text",
            Self::EventType => "an event type",
            Self::Name => "a host name",
            Self::Domain => "a domain",
            Self::Ip => "an address",
        }
    }

    /// True for the types whose values are bytes.
    #[must_use]
    pub fn is_text(self) -> bool {
        matches!(
            self,
            Self::Text | Self::EventType | Self::Name | Self::Domain
        )
    }
}

/// One row of [`FIELDS`].
#[derive(Clone, Copy, Debug)]
pub struct FieldInfo {
    /// The field; an indexed one with index 0.
    pub field: Field,
    /// Its name as written, without an index.
    pub name: &'static str,
    /// True if it is written with an index: `proc.aname[2]`.
    pub indexed: bool,
    /// Its type.
    pub kind: Type,
    /// One line for help and docs.
    pub doc: &'static str,
}

macro_rules! fields {
    (
        plain { $($variant:ident $name:literal $kind:ident $doc:literal,)* }
        indexed { $($ivariant:ident $iname:literal $ikind:ident $idoc:literal,)* }
    ) => {
        /// A field of an event. Its name, type and meaning stand in [`FIELDS`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Field {
            $(#[doc = $doc] $variant,)*
            $(#[doc = $idoc] $ivariant(u8),)*
        }

        /// Every field.
        pub const FIELDS: &[FieldInfo] = &[
            $(FieldInfo { field: Field::$variant, name: $name, indexed: false, kind: Type::$kind, doc: $doc },)*
            $(FieldInfo { field: Field::$ivariant(0), name: $iname, indexed: true, kind: Type::$ikind, doc: $idoc },)*
        ];

        impl Field {
            /// The name as written, without an index.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* $(Self::$ivariant(_) => $iname,)* }
            }

            /// The type of its values.
            #[must_use]
            pub fn kind(self) -> Type {
                match self { $(Self::$variant => Type::$kind,)* $(Self::$ivariant(_) => Type::$ikind,)* }
            }

            /// The index of an indexed field.
            #[must_use]
            pub fn index(self) -> Option<u8> {
                match self { $(Self::$variant => None,)* $(Self::$ivariant(index) => Some(index),)* }
            }

            /// The same field with this index; unchanged where it has none.
            #[must_use]
            pub fn at(self, index: u8) -> Self {
                match self { $(Self::$variant => self,)* $(Self::$ivariant(_) => Self::$ivariant(index),)* }
            }
        }
    };
}

fields! {
    plain {
        EvtType "evt.type" EventType "System call name (`openat`, `connect`) or, where the event is no call, kind name (`flow`, `dns`, `decision`).",
        EvtNum "evt.num" Int "The event's number in the trace, from 0.",
        EvtRawTime "evt.rawtime" Int "Guest time in nanoseconds since its boot.",
        EvtRawRes "evt.rawres" Int "The value that the call returned; negative: errno.",
        EvtRes "evt.res" Text "`SUCCESS`, or the errno's name: `ENOENT`, `EPERM`, `ECONNREFUSED`.",
        EvtFailed "evt.failed" Bool "The call failed, or was refused. Absent where the event is no call.",
        EvtIsOpenRead "evt.is_open_read" Bool "An open that asks for reading.",
        EvtIsOpenWrite "evt.is_open_write" Bool "An open that asks for writing.",
        EvtIsOpenCreate "evt.is_open_create" Bool "An open that may create the file.",
        EvtArgFlags "evt.arg.flags" Text "Flags of an open by name: `O_WRONLY|O_CREAT|O_TRUNC`.",
        EvtArgMode "evt.arg.mode" Int "Mode of an open that creates, or of chmod, mkdir, mknod.",
        EvtArgValue "evt.arg.value" Int "First plain argument after the paths of a change (mode, flags, length).",
        EvtArgModeFlags "evt.arg.mode.flags" Text "The mode of `evt.arg.mode` by name: `S_ISUID|S_IXUSR`; what a text comparison of `evt.arg.mode` means.",
        EvtArgName "evt.arg.name" Text "The path of an open or `unlinkat`.",
        EvtArgPath "evt.arg.path" Text "The path of a `mkdir`, `rmdir`, `unlink` or `mknod`.",
        EvtArgFilename "evt.arg.filename" Text "The path of an exec or `chmod`.",
        EvtArgTarget "evt.arg.target" Text "What a symbolic link will hold, as written.",
        EvtArgLinkpath "evt.arg.linkpath" Text "The name of a new symbolic link.",
        EvtArgOldpath "evt.arg.oldpath" Text "First path of a rename or link.",
        EvtArgNewpath "evt.arg.newpath" Text "Second path of a rename or link.",
        EvtArgUid "evt.arg.uid" Text "The user that `setuid` asks for: a name that every Debian has, or the number.",
        EvtArgRequest "evt.arg.request" Text "What `ptrace` is asked for: `PTRACE_ATTACH`.",
        EvtArgCmd "evt.arg.cmd" Text "What `bpf` is asked for: `BPF_PROG_LOAD`.",
        EvtArgDomain "evt.arg.domain" Text "Address family of a `socket`: `AF_INET`, `AF_PACKET`.",
        EvtIsOpenExec "evt.is_open_exec" Bool "An open that may create a file which can be executed.",
        EvtDir "evt.dir" Text "Always `<`: calls are recorded when they return.",
        EvtArgSetid "evt.arg.setid" Bool "The mode of a chmod, mknod or creating open has the set-user-id or set-group-id bit, and the path is not known to be a folder.",
        EvtOp "evt.op" Text "What a policy decides about: `read`, `write`, `exec`, `connect`, `unlink`, `rename`, `link`, `chmod`.",
        ThreadTid "thread.tid" Int "Thread id in the guest.",
        ProcPid "proc.pid" Int "Process id in the guest.",
        ProcPpid "proc.ppid" Int "Parent's process id.",
        ProcName "proc.name" Text "Base name of the program that runs (not the changeable thread name).",
        ProcExe "proc.exe" Text "First argument, the name that the program was started under.",
        ProcExePath "proc.exepath" Text "Kernel-resolved program; for a script its interpreter.",
        ProcScript "proc.script" Text "Kernel-resolved script file, where a script was executed.",
        ProcCmdline "proc.cmdline" Text "Program base name and arguments, joined by spaces.",
        ProcArgs "proc.args" Text "Arguments after the first, joined by spaces.",
        ProcExeLine "proc.exeline" Text "All arguments, the name first, joined by spaces.",
        ProcPexeLine "proc.pexeline" Text "All arguments of the parent.",
        ProcPexe "proc.pexe" Text "First argument of the parent.",
        ProcAexe "proc.aexe" Text "First argument of any ancestor.",
        ProcComm "proc.comm" Text "The thread's name after exec: base name of the path that was executed, 15 bytes at most.",
        ProcDuration "proc.duration" Int "For how many nanoseconds of guest time the process has run.",
        ProcIsExeFromMemfd "proc.is_exe_from_memfd" Bool "The program lies in memory only (memfd).",
        ProcCwd "proc.cwd" Text "Working directory at exec.",
        ProcPname "proc.pname" Text "Parent's program base name.",
        ProcPcmdline "proc.pcmdline" Text "Parent's program base name and arguments.",
        ProcPexePath "proc.pexepath" Text "Parent's kernel-resolved program.",
        ProcAname "proc.aname" Text "Program base name of any ancestor.",
        ProcAcmdline "proc.acmdline" Text "Program base name and arguments of any ancestor.",
        ProcAexePath "proc.aexepath" Text "Kernel-resolved program of any ancestor.",
        ProcApid "proc.apid" Int "Process id of any ancestor.",
        ProcStdinType "proc.stdin.type" Text "What descriptor 0 was at exec: `closed`, `file`, `device`, `pipe`, `unix`, `net`, `other`.",
        ProcStdoutType "proc.stdout.type" Text "What descriptor 1 was at exec.",
        ProcStderrType "proc.stderr.type" Text "What descriptor 2 was at exec.",
        ProcStdioNet "proc.stdio_net" Bool "A network socket is one of descriptors 0, 1, 2, since exec or by a later dup.",
        ProcExeUnlinked "proc.exe_unlinked" Bool "The program has no name any more (memfd, or deleted).",
        ProcExeDropped "proc.exe_dropped" Bool "The executed file (the script, where it is one) was created or filled during this run, or lies in a folder that was.",
        ProcDetached "proc.detached" Bool "The process that started this one, or one above it, ended while this one ran on.",
        ProcDetachedMs "proc.detached_ms" Int "For how many milliseconds of guest time it has run on since.",
        ProcTreeCredentialPaths "proc.tree.credential_paths" Int "Distinct credential paths asked for so far by this process's branch of the tree (settings files like `.env` and shell histories do not count).",
        ProcTreeCredentialKinds "proc.tree.credential_kinds" Int "Distinct kinds of these credentials: `ssh key`, `npm token`.",
        UserUid "user.uid" Int "Effective user id.",
        UserName "user.name" Text "`root` and the other names that every Debian has; `<NA>` for the rest.",
        UserLoginuid "user.loginuid" Int "Always -1: nobody logs in to the guest.",
        UserLoginname "user.loginname" Text "Always `<NA>`: nobody logs in to the guest.",
        ThreadCapEffective "thread.cap_effective" Text "Always empty: the payload has no capabilities and can gain none.",
        ThreadCapPermitted "thread.cap_permitted" Text "Always empty.",
        ThreadCapInheritable "thread.cap_inheritable" Text "Always empty.",
        ContainerId "container.id" Text "Always `host`: there are no containers in the guest.",
        ContainerName "container.name" Text "Always `host`.",
        ContainerType "container.type" Text "Always `host`.",
        ContainerNone "container.image" Text "Never there, like everything else that only containers and clusters have.",
        FdNum "fd.num" Int "Descriptor number.",
        FdName "fd.name" Text "Resolved path, or `address:port`, or a unix socket's path.",
        FdNameraw "fd.nameraw" Text "The path of an open as the payload wrote it.",
        FdConnected "fd.connected" Bool "The socket is connected; false for a datagram with an address of its own.",
        FdNameChanged "fd.name_changed" Bool "The event itself says where the socket leads: a datagram with an address of its own.",
        FdSockfamily "fd.sockfamily" Text "`ip` or `unix`.",
        FdDirectory "fd.directory" Text "Folder of `fd.name`, for files.",
        FdFilename "fd.filename" Text "Base name of `fd.name`, for files.",
        FdType "fd.type" Text "`file`, `directory`, `ipv4`, `ipv6`, `unix`.",
        FdTypechar "fd.typechar" Text "`f` file, `d` folder, `4` IPv4, `6` IPv6, `u` unix socket.",
        FdL4proto "fd.l4proto" Text "`tcp` or `udp`.",
        FdSport "fd.sport" Int "Server port: the remote one of a connection out, the own one of a bind.",
        FdRip "fd.rip" Ip "Remote address, as the payload gave it; for a flow by name, the address the host dialled.",
        FdSip "fd.sip" Ip "Server address: the remote one of a connection out, the own one of a bind.",
        FsPathName "fs.path.name" Text "The path a file call works on, resolved as far as known; the first, of two.",
        FsPathSource "fs.path.source" Text "First path of a rename or link.",
        FsPathTarget "fs.path.target" Text "Second path of a rename or link.",
        FsPathWritten "fs.path.written" Text "The path that an event fills or makes, or tries to: the file of an open for writing, the new name of a rename, link or symlink.",
        PathDecoy "path.decoy" Bool "A path of the event is a decoy laid out before the start.",
        PathDecoyKind "path.decoy.kind" Text "What the decoy pretends to be: `ssh key`, `npm token`.",
        PathDropped "path.dropped" Bool "The file (of an exec or open) was created or filled during this run.",
        PathHidden "path.hidden" Bool "A folder or file on the path begins with a dot (`.bin` below `node_modules` does not count).",
        PathCredential "path.credential" Bool "A path of the event is one where real credentials would be, whether it exists or not.",
        NetName "net.name" Name "Host name of a flow, a connect or a lookup.",
        NetDomain "net.domain" Domain "Like `net.name`, but `in` also matches every parent domain.",
        NetSite "net.site" Name "The registrable domain of `net.name` by the public suffix list: `host.example` of `a.b.host.example`. A rule's field, not a policy's.",
        NetDirect "net.direct" Bool "A connect, send or flow to an address outside the guest that no lookup led to.",
        NetRefused "net.refused" Bool "Refused by the guest's kernel, by policy, or because of the address's range. Lookups have `dns.refused`.",
        NetAction "net.action" Text "What was decided: `allow`, `deny`, `ask`, `kill`.",
        NetBy "net.by" Text "The policy line, or the range, that decided.",
        DnsName "dns.name" Name "The name asked for, of a lookup.",
        DnsRefused "dns.refused" Bool "The lookup was answered `no such name` by policy.",
        DnsLabels "dns.labels" Int "How many labels the name asked for has.",
        DnsLongestLabel "dns.longest_label" Int "Bytes of its longest label.",
        DnsLabelEntropy "dns.label_entropy" Int "Shannon entropy of its longest label, in thousandths of a bit per byte.",
        CanaryKind "canary.kind" Text "Of what decoy the event carries the canary: `ssh key`, `wallet`; absent where it carries none.",
        CanaryWhere "canary.where" Text "Where it stands: `flow` (bytes on their way out), `name` (of a lookup or a flow), `argument` (of a program).",
        CanaryEncoding "canary.encoding" Text "How it is written: `plain`, `reversed`, `percent`, `hex`, `base64`, `base32`.",
        CanaryPath "canary.path" Text "The decoy's path.",
        ExecName "exec.name" Text "Base name of the program that an exec asks for, as written, whether or not it starts.",
        ExecCmdline "exec.cmdline" Text "That name and the arguments, joined by spaces; of an exec that failed, as much of them as was read.",
        ExitStatus "exit.status" Int "The status that a process or a phase ended with.",
        ExitSignal "exit.signal" Int "The signal that ended a process or a phase.",
        SignalNumber "signal.number" Int "The signal that is sent.",
        SignalTarget "signal.target" Int "Whom it is sent to: a process, or as `kill` has it, a group (negative) or everybody (-1).",
        RunEnd "run.end" Text "How the run ended: `finished`, `stopped`, `interrupted`, `timed out`, `guest lost`, `failed`.",
        RunFailedCheck "run.failed_check" Text "The first check of the self-test that did not hold.",
        LimitWhat "limit.what" Text "The limit that was reached: `pids`, `memory`, `disk`, `events`, `time`.",
        SampleCpuMs "sample.cpu_ms" Int "Processor time of the payload so far, in milliseconds.",
        PathEntropy "path.entropy" Int "Shannon entropy of the base name of `fs.path.name`, in thousandths of a bit per byte.",
        NetSent "net.sent" Int "Bytes that a flow carried out of the guest, told when it closes.",
        NetReceived "net.received" Int "Bytes that it carried in.",
        TlsName "tls.name" Name "The host name that a TLS client says it wants.",
        HttpMethod "http.method" Text "The method of a request without TLS: `GET`, `POST`.",
        HttpTarget "http.target" Text "What it asks for.",
        HttpHost "http.host" Text "The host that it names.",
        PhaseMs "phase.ms" Int "Milliseconds of guest time since the phase began.",
        BaselineName "baseline.name" Text "The baseline that the phase is held against; absent where none fits.",
        BaselineLearned "baseline.learned" Bool "That baseline was learned from traces, or written, by the person who judges.",
        BaselineFlows "baseline.flows" Int "How many connections it expects at most.",
        BaselineProcesses "baseline.processes" Int "How many programs it expects at most.",
        BaselineOver "baseline.over" Text "The dimension in which this event leaves the baseline: `network`, `names`, `files`, `processes`, `time`.",
        BaselineDrift "baseline.drift" Int "In how many of the five dimensions the phase has left it so far, in thousandths: 400 is two.",
        PhaseName "phase.name" Text "The phase of the run: `install`, `run`.",
    }
    indexed {
        ProcAnameAt "proc.aname" Text "Program base name of the ancestor so many generations up: 0 itself, 1 parent.",
        ProcAcmdlineAt "proc.acmdline" Text "Program base name and arguments of the ancestor so many generations up.",
        ProcAexePathAt "proc.aexepath" Text "Kernel-resolved program of the ancestor so many generations up.",
        ProcAexeAt "proc.aexe" Text "First argument of the ancestor so many generations up.",
        ProcArgvAt "proc.argv" Text "The argument at this place; 0 is the name that the program was started under.",
        ProcApidAt "proc.apid" Int "Process id of the ancestor so many generations up.",
        EvtArgAt "evt.arg" Int "Raw argument of a guarded call, by position.",
    }
}

/// Other names that Falco users write, and the field they mean here.
pub const ALIASES: &[(&str, Field)] = &[
    ("fd.ip", Field::FdSip),
    ("fd.port", Field::FdSport),
    ("fd.rport", Field::FdSport),
    ("fd.rip.name", Field::NetName),
    ("fd.sip.name", Field::NetName),
    ("fd.proto", Field::FdL4proto),
    ("fd.rproto", Field::FdL4proto),
    ("fd.net", Field::FdSip),
    ("fd.snet", Field::FdSip),
    ("fd.rnet", Field::FdRip),
    ("proc.vpid", Field::ProcPid),
    ("proc.pvpid", Field::ProcPpid),
    ("thread.vtid", Field::ThreadTid),
    ("evt.rawarg.uid", Field::EvtArgUid),
];

/// What only containers and clusters have, in the rules of others.
const NOT_HERE: &[&str] = &[
    "container.image",
    "container.image.id",
    "container.image.repository",
    "container.image.tag",
    "container.image.digest",
    "container.privileged",
    "container.mounts",
    "container.mount",
    "container.mount.source",
    "container.mount.dest",
    "container.mount.mode",
    "container.mount.rdwr",
    "container.start_ts",
    "container.duration",
    "container.ip",
    "container.info",
    "container.cni.json",
    "container.liveness_probe",
    "container.readiness_probe",
    "container.healthcheck",
    "k8s.ns.name",
    "k8s.pod.name",
    "k8s.pod.id",
    "k8s.pod.uid",
    "k8s.pod.label",
    "k8s.pod.labels",
    "k8s.pod.ip",
];

/// The largest index that an indexed field takes.
pub const MAX_INDEX: u8 = 31;

impl Field {
    /// The field of this name; `indexed` if an index follows.
    #[must_use]
    pub fn named(name: &str, indexed: bool) -> Option<Self> {
        FIELDS
            .iter()
            .find(|row| row.name == name && row.indexed == indexed)
            .map(|row| row.field)
            .or_else(|| {
                let alias = ALIASES.iter().find(|(alias, _)| *alias == name && !indexed);
                alias.map(|(_, field)| *field)
            })
    }
}

impl Field {
    /// The field that stands for all that only containers have.
    pub(super) fn absent(name: &str) -> Option<Self> {
        NOT_HERE.contains(&name).then_some(Self::ContainerNone)
    }

    /// The value of a field that is the same for every event: comparisons with
    /// it are settled when they are compiled.
    #[must_use]
    pub fn fixed(self) -> Option<Value<'static>> {
        Some(match self {
            Self::EvtDir => Value::str("<"),
            Self::ContainerId | Self::ContainerName | Self::ContainerType => Value::str("host"),
            Self::ContainerNone => Value::Absent,
            Self::UserLoginuid => Value::Int(-1),
            Self::UserLoginname => Value::str("<NA>"),
            Self::ThreadCapEffective | Self::ThreadCapPermitted | Self::ThreadCapInheritable => {
                Value::str("")
            }
            _ => return None,
        })
    }

    /// True for fields that have a value for each ancestor.
    pub(super) fn is_many(self) -> bool {
        matches!(
            self,
            Self::ProcAname
                | Self::ProcAcmdline
                | Self::ProcAexePath
                | Self::ProcAexe
                | Self::ProcApid
        )
    }

    /// How dear its value is, to ask cheap ones first: what the event itself
    /// says, then tables, then walks through the process tree.
    pub(super) fn price(self) -> u32 {
        const PRICES: &[(&str, u32)] = &[
            ("evt.", 0),
            ("fs.", 1),
            ("fd.", 1),
            ("path.", 1),
            ("proc.tree.", 10),
            ("proc.a", 10),
            ("canary.", 5),
            ("proc.detached", 10),
        ];
        let row = PRICES
            .iter()
            .find(|(prefix, _)| self.name().starts_with(prefix));
        row.map_or(2, |(_, price)| *price)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index() {
            Some(index) => write!(f, "{}[{index}]", self.name()),
            None => f.write_str(self.name()),
        }
    }
}
