//! `belljar image`: flags as typed, and their help.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Format;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  belljar image build --flavour python\n  belljar image import alpine-rootfs.tar.gz --name alpine\n  docker save NAME | gzip > i.tar.gz && belljar image import i.tar.gz --name mine\n  belljar image import docker://registry.example/team/app:1.2 --name app\n  belljar run --image mine . -- make test\n  belljar image rm --unused"
)]
pub(crate) struct Image {
    #[command(subcommand)]
    pub(crate) action: ImageAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImageAction {
    /// Build belljar's own image, unless it is there.
    Build {
        /// How much is in it.
        #[arg(long, value_enum, default_value = "full")]
        flavour: FlavourArg,
        /// Debian mirror.
        #[arg(long, value_name = "URL")]
        mirror: Option<String>,
    },
    /// Make an image of a root file system (tar), an OCI or Docker archive, or an
    /// image in a registry.
    Import {
        /// A file (plain, gzip or zstd), or docker://HOST/REPOSITORY with :TAG or @DIGEST.
        source: String,
        /// What to call it.
        #[arg(long)]
        name: String,
        /// Kernel: `host` or a bzImage file; default: that of belljar's own image.
        #[arg(long, value_name = "host|FILE")]
        kernel: Option<PathBuf>,
        /// Its modules, if they are not in /lib/modules.
        #[arg(long, value_name = "DIR", requires = "kernel")]
        modules: Option<PathBuf>,
    },
    /// List images.
    List {
        /// How to print it (table or json).
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
    },
    /// Remove images.
    Rm {
        /// Names or digests (at least 6 digits).
        #[arg(required_unless_present = "unused")]
        images: Vec<String>,
        /// Every image that no name and no present setting leads to.
        #[arg(long)]
        unused: bool,
    },
}

/// How much is in belljar's own image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FlavourArg {
    /// git and ordinary tools.
    Base,
    /// And node with npm.
    Node,
    /// And Python with pip.
    Python,
    /// Both, and compilers for native add-ons.
    Full,
}

#[cfg(target_os = "linux")]
impl FlavourArg {
    pub(crate) fn of(self) -> belljar_vmm::image::Flavour {
        use belljar_vmm::image::Flavour;
        match self {
            Self::Base => Flavour::Base,
            Self::Node => Flavour::Node,
            Self::Python => Flavour::Python,
            Self::Full => Flavour::Full,
        }
    }
}
