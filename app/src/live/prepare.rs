//! What must be there before a machine can boot: image, initramfs, policy.

use std::path::{Path, PathBuf};

use belljar_event::Decoys;
use belljar_replay::policy::{Enforced, Policy};
use belljar_vmm::image::{self, Flavour, Host, Image, KernelFiles, Progress, Recipe};
use etcetera::BaseStrategy;

use super::Plan;
use crate::error::AppError;
use crate::guest::AGENT;
use crate::ways::ecosystem::Ecosystem;
use crate::ways::phase::CLONE;

/// Everything a guest boots from.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) image: Image,
    pub(crate) initramfs: PathBuf,
}

/// The user's cache folder for belljar.
pub(crate) fn cache_dir() -> Result<PathBuf, AppError> {
    let base = etcetera::choose_base_strategy().map_err(|_| {
        AppError::usage(
            "there is no home folder to keep the guest image in",
            "set HOME or XDG_CACHE_HOME",
        )
    })?;
    Ok(base.cache_dir().join("belljar"))
}

/// What the image is made from.
pub(crate) fn recipe() -> Recipe {
    flavoured(Flavour::Full)
}

/// What the image of a flavour is made from.
pub(crate) fn flavoured(flavour: Flavour) -> Recipe {
    let mut recipe = Recipe::flavoured(flavour, Host::detect());
    recipe.mirror = std::env::var("BELLJAR_DEBIAN_MIRROR")
        .ok()
        .filter(|mirror| !mirror.is_empty());
    recipe
}

/// The image of this name (belljar's own without one, built if it must be), with
/// the kernel that was asked for, and the initramfs around this agent.
pub(crate) fn prepare(
    cache: &Path,
    name: Option<&str>,
    kernel: Option<&KernelFiles>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Guest, AppError> {
    if AGENT.is_empty() {
        return Err(AppError::Guest(
            "this belljar was built without a guest agent".into(),
        ));
    }
    let mut image = chosen(cache, name, progress)?;
    if let Some(kernel) = kernel {
        image = image::with_kernel(cache, image, kernel)?;
    }
    let initramfs = image::initramfs(&image, AGENT, cache)?;
    Ok(Guest { image, initramfs })
}

/// The image of a run: the one that was asked for, else belljar's own.
fn chosen(
    cache: &Path,
    name: Option<&str>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Image, AppError> {
    let Some(name) = name else {
        return Ok(image::ensure(cache, &recipe(), progress)?);
    };
    Ok(match Flavour::of(name) {
        Some(flavour) => image::ensure(cache, &flavoured(flavour), progress)?,
        None => image::named(cache, name)?,
    })
}

/// The policy of a run: the host of a clone, and what the plan's policies and the
/// clients' own registries come to.
pub(crate) fn policy(plan: &Plan, guest: &Guest, home: &str) -> Result<Policy, AppError> {
    let wanted = |client: &str| {
        plan.ecosystems.iter().any(|ecosystem| match ecosystem {
            Ecosystem::Node => client == "npm",
            Ecosystem::Python => client == "pip",
        })
    };
    let registries: Vec<_> = guest
        .image
        .clients
        .endpoints()
        .into_iter()
        .filter(|endpoint| plan.registries && wanted(endpoint.client))
        .map(|endpoint| (endpoint.client.to_owned(), endpoint.host, endpoint.port))
        .collect();
    let policy = plan.policies.compose(&registries, home, plan.lure);
    let policy = match &plan.repository {
        // Behind the clone nothing of the run needs its host.
        Some(repository) => {
            policy.and_then(|policy| policy.allow_in_phase("clone:git", &repository.host, CLONE))
        }
        None => policy,
    };
    policy.map_err(|e| AppError::Rules(e.to_string()))
}

/// What of it the guest's kernel enforces, and what is held.
pub(crate) fn enforced(policy: &Policy, decoys: &Decoys) -> Result<Enforced, AppError> {
    let paths: Vec<_> = decoys
        .decoys
        .iter()
        .map(|decoy| decoy.path.bytes().to_vec())
        .collect();
    policy
        .enforced(&paths)
        .map_err(|e| AppError::Rules(e.to_string()))
}

/// The policy as the trace keeps it.
pub(crate) fn policy_fact(policy: &Policy) -> belljar_event::Policy {
    belljar_event::Policy {
        source: policy.source().to_owned(),
        digest: policy.digest(),
    }
}
