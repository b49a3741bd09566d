//! The rules that come with belljar: their files, compiled in.
//!
//! Owns: which rules there are. Must not: hold anything of a rule but its name;
//! a test walks the folder and finds what is missing here.

macro_rules! builtin {
    ($($id:literal,)*) => {
        /// File name and text of each, the lists and macros first.
        pub(super) const BUILTIN: &[(&str, &str)] = &[
            ("names.yaml", include_str!("../../rules/names.yaml")),
            $((concat!($id, ".yaml"), include_str!(concat!("../../rules/", $id, ".yaml"))),)*
        ];
    };
}

builtin! {
    "L3-SUS-008",
    "L4-CRYPTO-001",
    "L4-CRYPTO-002",
    "L4-CRYPTO-003",
    "L4-ENTROPY-002",
    "L4-FS-002",
    "L4-FS-002-DROP",
    "L4-HONEY-001",
    "L4-HONEY-001-ATTEMPT",
    "L4-HONEY-001-DENIED",
    "L4-HONEY-003",
    "L4-NET-006",
    "L4-NET-006-NAME",
    "L4-PERSIST-001",
    "L4-PERSIST-001-EDITOR",
    "L4-PERSIST-001-HOOK",
    "L4-PRIVESC-003",
    "L4-PROC-001",
    "L4-PROC-005",
    "L4-PROC-007",
    "L4-PROC-007-NET",
}
