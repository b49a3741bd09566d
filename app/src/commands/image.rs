//! `belljar image`: make, take in, list and remove guest images.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

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
    let made = one.made.map_or_else(|| "?".to_owned(), day);
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
                called(&one.digest, image.name.as_deref()),
                image.kernel_release,
                escape::string(image.source.as_deref().unwrap_or("debian")),
                "",
            )
        }
        Err(why) => format!(
            "{short}  {:<12} {mib:>5} MiB  {made}  {}\n",
            "damaged",
            escape::string(why)
        ),
    }
}

fn row(one: &Listed) -> serde_json::Value {
    let made = one.made.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let image = one.image.as_ref().ok();
    serde_json::json!({
        "digest": one.digest,
        "name": called(&one.digest, image.and_then(|image| image.name.as_deref())),
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

/// `2031-05-09`, in UTC: days since 1970 to a date of the Gregorian calendar.
fn day(at: SystemTime) -> String {
    let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    // Counted from 1 March of year 0, so that the leap day comes last.
    let days = seconds / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn days_of_the_calendar() {
        let at = |seconds| day(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01");
        assert_eq!(at(951_782_399), "2000-02-28");
        assert_eq!(at(951_782_400), "2000-02-29");
        assert_eq!(at(951_868_800), "2000-03-01");
        assert_eq!(at(1_767_225_599), "2025-12-31");
    }
}
