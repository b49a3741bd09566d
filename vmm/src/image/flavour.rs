//! How much is in belljar's own image.
//!
//! Owns: the flavours and the packages of each. Must not: say how they are
//! brought in.

/// What is in belljar's own image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Debian with git, and no package manager of a language.
    Base,
    /// And node with npm.
    Node,
    /// And Python with pip.
    Python,
    /// Both, and compilers for native add-ons of either: the one that `belljar run` uses by itself.
    Full,
}

/// Each flavour with its packages.
pub(super) const FLAVOURS: &[(Flavour, &[&str])] = &[
    (
        Flavour::Base,
        &[
            "ca-certificates",
            "curl",
            "git",
            "procps",
            "unzip",
            "xz-utils",
        ],
    ),
    (
        // node's wheel is unpacked by pip, and native add-ons are made by Python.
        Flavour::Node,
        &[
            "binutils",
            "ca-certificates",
            "curl",
            "git",
            "procps",
            "python3",
            "python3-pip",
            "unzip",
            "xz-utils",
        ],
    ),
    (
        Flavour::Python,
        &[
            "ca-certificates",
            "curl",
            "git",
            "procps",
            "python-is-python3",
            "python3",
            "python3-pip",
            "python3-venv",
            "unzip",
            "xz-utils",
        ],
    ),
    (
        Flavour::Full,
        &[
            "ca-certificates",
            "curl",
            "g++",
            "gcc",
            "git",
            "libc6-dev",
            "make",
            "procps",
            "python-is-python3",
            "python3",
            "python3-dev",
            "python3-pip",
            "python3-venv",
            "unzip",
            "xz-utils",
        ],
    ),
];

impl Flavour {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Base, Self::Node, Self::Python, Self::Full];

    /// `base`, `node`, `python`, `full`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Node => "node",
            Self::Python => "python",
            Self::Full => "full",
        }
    }

    /// The flavour of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|flavour| flavour.name() == name)
    }

    pub(super) fn has_node(self) -> bool {
        matches!(self, Self::Node | Self::Full)
    }

    pub(super) fn packages(self) -> &'static [&'static str] {
        let row = FLAVOURS.iter().find(|row| row.0 == self);
        row.map_or(&[], |row| row.1)
    }
}
