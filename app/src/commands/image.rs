//! `belljar image`: make, take in, list and remove guest images.

use std::path::Path;
use std::time::UNIX_EPOCH;

use belljar_replay::escape;
use belljar_vmm::image::{
    self, Flavour, Host, Image, Kernel, KernelFiles, Listed, Recipe, Reference, Source,
};

use super::run::progress;
use crate::cli;
use crate::error::AppError;
use crate::exit::Exit;
use crate::live::{cache_dir, flavoured, recipe};
use crate::print;

/// Does what was asked.
pub(crate) fn image(args: &cli::Image) -> Result<Exit, AppError> {
    let cache = cache_dir()?;
    match &args.action {
        cli::ImageAction::Build { flavour, mirror } => {
            let recipe = with_mirror(flavoured(flavour.of()), mirror.as_deref());
            let mut progress = progress();
            let image = image::ensure(&cache, &recipe, &mut progress)?;
            drop(progress);
            made(&image);
        }
        cli::ImageAction::Import {
            source,
            name,
            kernel,
            modules,
        } => {
            let files = kernel_files(kernel.as_deref(), modules.as_deref())?;
            made(&import(&cache, source, name, files.as_ref())?);
        }
        cli::ImageAction::List { format } => list(&cache, *format)?,
        cli::ImageAction::Rm { images, unused } => {
            for name in images {
                // A flavour's name means the image that it makes now.
                let digest = Flavour::of(name).map(|flavour| flavoured(flavour).digest());
                let gone = image::remove(&cache, digest.as_deref().unwrap_or(name))?;
                print::out(&format!("removed {gone}\n"));
            }
            if *unused {
                let current = Flavour::ALL.map(|flavour| flavoured(flavour).digest());
                for gone in image::remove_unused(&cache, &current)? {
                    print::out(&format!("removed {gone}\n"));
                }
            }
        }
    }
    Ok(Exit::Fine)
}

fn with_mirror(mut recipe: Recipe, mirror: Option<&str>) -> Recipe {
    if let Some(mirror) = mirror {
        recipe.mirror = Some(mirror.to_owned());
    }
    recipe
}

/// The kernel that was asked for, if one was.
pub(crate) fn kernel_files(
    kernel: Option<&Path>,
    modules: Option<&Path>,
) -> Result<Option<KernelFiles>, AppError> {
    Ok(match kernel {
        None => None,
        Some(name) if name == Path::new("host") => {
            let mut files = KernelFiles::host()?;
            files.modules = modules.map_or(files.modules, Path::to_owned);
            Some(files)
        }
        Some(file) => Some(KernelFiles::at(file, modules)?),
    })
}

fn import(
    cache: &Path,
    source: &str,
    name: &str,
    files: Option<&KernelFiles>,
) -> Result<Image, AppError> {
    let mut tell = |text: &str| print::error(&format!("import: {}", escape::string(text)));
    let reference = Reference::of(source).transpose()?;
    let roots = Host::detect().roots;
    let from = match &reference {
        Some(reference) => Source::Registry {
            reference,
            roots: roots.as_deref(),
        },
        None => Source::Archive(Path::new(source)),
    };
    let own;
    let kernel = match files {
        Some(files) => Kernel::Files(files),
        None => {
            // Any of belljar's own has the kernel; one is made if there is none.
            let cached = Flavour::ALL
                .into_iter()
                .rev()
                .find_map(|flavour| image::cached(cache, &flavoured(flavour)).ok().flatten());
            own = match cached {
                Some(image) => image,
                None => image::ensure(cache, &recipe(), &mut progress())?,
            };
            Kernel::Image(&own)
        }
    };
    Ok(image::import(cache, from, name, kernel, &mut tell)?)
}

fn made(image: &Image) {
    print::out(&format!("{}\n", image.digest));
    if let Some(name) = &image.name {
        print::error(&format!("run it: belljar run --image {name} DIR -- CMD"));
    }
}

fn list(cache: &Path, format: cli::Format) -> Result<(), AppError> {
    let all = image::list(cache)?;
    if format != cli::Format::Table {
        let rows: Vec<_> = all.iter().map(row).collect();
        print::out(&format!("{}\n", serde_json::Value::from(rows)));
        return Ok(());
    }
    if all.is_empty() {
        print::out("no images yet: the first run builds one, and so does `belljar image build`\n");
    }
    for one in &all {
        print::out(&line(one));
    }
    Ok(())
}

/// What an image is called: its name, or the flavour that it is now.
fn called(digest: &str, name: Option<&str>) -> String {
    let flavour = || {
        Flavour::ALL
            .into_iter()
            .find(|flavour| flavoured(*flavour).digest() == digest)
            .map(Flavour::name)
    };
    name.or_else(flavour).unwrap_or("-").to_owned()
}

fn line(one: &Listed) -> String {
    let short: String = one.digest.chars().take(12).collect();
    let mib = one.bytes >> 20;
    let made = one.made.map_or_else(|| "?".to_owned(), crate::date::day);
    match &one.image {
        Ok(image) => {
            let clients: Vec<_> = image
                .clients
                .endpoints()
                .iter()
                .map(|end| format!("{} {}:{}", end.client, end.host, end.port))
                .collect();
            let clients = match clients.is_empty() {
                true => "no registries".to_owned(),
                false => clients.join(", "),
            };
            format!(
                "{short}  {:<12} {mib:>5} MiB  {made}  kernel {}  {}\n{:14}{clients}\n",
                called(&one.digest, one.name.as_deref()),
                image.kernel_release,
                escape::string(image.source.as_deref().unwrap_or("debian")),
                "",
            )
        }
        Err(why) => format!(
            "{short}  {:<12} {mib:>5} MiB  {made}  damaged: {}\n",
            called(&one.digest, one.name.as_deref()),
            escape::string(why)
        ),
    }
}

fn row(one: &Listed) -> serde_json::Value {
    let made = one.made.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let image = one.image.as_ref().ok();
    serde_json::json!({
        "digest": one.digest,
        "name": called(&one.digest, one.name.as_deref()),
        "bytes": one.bytes,
        "made": made.map(|since| since.as_secs()),
        "kernel": image.map(|image| &image.kernel_release),
        "source": image.and_then(|image| image.source.as_ref()),
        "registries": image.map(|image| image.clients.endpoints().iter()
            .map(|end| serde_json::json!({"client": end.client, "host": end.host, "port": end.port}))
            .collect::<Vec<_>>()),
        "fault": one.image.as_ref().err(),
    })
}
