//! Images from elsewhere, of a shell and nothing else; and what is left of an
//! import or a build that is killed in the middle: nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use libtest_mimic::Trial;

use crate::registry::{self, Registry, Reply};
use crate::support::*;

pub fn tests() -> Vec<Trial> {
    vec![
        test(
            "image::an_imported_root_file_system_runs",
            &[Need::Guest],
            imported,
        ),
        test(
            "image::a_registry_s_image_runs_with_a_kernel_of_its_own",
            &[Need::Guest],
            pulled,
        ),
        test(
            "image::what_docker_and_oci_tools_saved_is_imported",
            &[Need::Guest],
            saved,
        ),
        test(
            "image::a_killed_import_leaves_nothing_half_made",
            &[Need::Guest],
            killed_import,
        ),
        test(
            "image::a_killed_build_leaves_nothing_half_made",
            &[Need::Guest, Need::Build],
            killed_build,
        ),
    ]
}

/// The tool with a cache of its own.
fn apart(cache: &Path, words: &[&str]) -> Command {
    let mut command = belljar(words);
    command.env("XDG_CACHE_HOME", cache);
    command
}

/// The folder of belljar's own image, which is built if this is the first test.
pub fn own_image() -> Result<PathBuf> {
    let built = output(&mut belljar(["image", "build"]))?;
    check(code(&built) == 0, || text(&built.stderr))?;
    let cache = match std::env::var_os("XDG_CACHE_HOME") {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache"),
    };
    Ok(cache
        .join("belljar/images")
        .join(text(&built.stdout).trim()))
}

/// The kernel of belljar's own image as a distribution has one: a file, and a
/// folder of modules.
pub fn kernel(dir: &Path) -> Result<[String; 4]> {
    let image = own_image()?;
    let tree = dir.join("modules");
    fs::create_dir_all(tree.join("kernel"))?;
    fs::write(tree.join("modules.builtin"), "")?;
    for entry in fs::read_dir(image.join("modules"))? {
        let entry = entry?;
        let name = text(entry.file_name().as_encoded_bytes());
        let (_, name) = name.split_once('-').ok_or("a module without a number")?;
        fs::copy(entry.path(), tree.join("kernel").join(name))?;
    }
    let kernel = dir.join("bzImage");
    fs::copy(image.join("vmlinuz"), &kernel)?;
    Ok([
        "--kernel".into(),
        kernel.display().to_string(),
        "--modules".into(),
        tree.display().to_string(),
    ])
}

/// Entries of a cache's image folder.
fn images(cache: &Path) -> Vec<String> {
    let entries = fs::read_dir(cache.join("belljar/images"));
    let names = entries.into_iter().flatten().flatten();
    names
        .map(|entry| text(entry.file_name().as_encoded_bytes()))
        .filter(|name| name != "lock")
        .collect()
}

/// This machine's shell and the libraries that it says it needs, as a tarball.
pub fn tarball(dir: &Path) -> Result<PathBuf> {
    let tree = dir.join("tree");
    let shell = fs::canonicalize("/bin/sh")?;
    let needs = Command::new("ldd").arg(&shell).output()?;
    let needs = text(&needs.stdout);
    let mut files = vec![(shell, PathBuf::from("bin/sh"))];
    for word in needs
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
    {
        let to = PathBuf::from(word.trim_start_matches('/'));
        files.push((PathBuf::from(word), to));
    }
    for (from, to) in files {
        let to = tree.join(to);
        fs::create_dir_all(to.parent().unwrap_or(&tree))?;
        fs::copy(from, to)?;
    }
    let file = dir.join("root.tar.gz");
    let made = Command::new("tar")
        .args([
            "-C".as_ref(),
            tree.as_os_str(),
            "-czf".as_ref(),
            file.as_os_str(),
        ])
        .args(["--owner=0", "--group=0", "."])
        .status()?;
    check(made.success(), || "tar failed".into())?;
    Ok(file)
}

fn imported() -> Result {
    let dir = tempfile::tempdir()?;
    let archive = tarball(dir.path())?;
    let name = format!("e2e-{}", std::process::id());
    let import = output(belljar(["image", "import", "--name", &name]).arg(&archive))?;
    check(code(&import) == 0, || text(&import.stderr))?;
    let went = ran(dir.path(), &name);
    let gone = output(&mut belljar(["image", "rm", &name]))?;
    went?;
    check(code(&gone) == 0, || text(&gone.stderr))?;
    let list = output(&mut belljar(["image", "list"]))?;
    check(!text(&list.stdout).contains(&name), || text(&list.stdout))
}

fn ran(dir: &Path, name: &str) -> Result {
    let list = output(&mut belljar(["image", "list"]))?;
    check(text(&list.stdout).contains(name), || text(&list.stdout))?;
    let project = dir.join("project");
    fs::create_dir(&project)?;
    fs::write(project.join("word"), "from the project\n")?;
    let trace = dir.join("t.bjt");
    let command = "echo hi; read line < word; echo \"$line\"; exit 7";
    let words = [
        "--image",
        name,
        "--fail-on",
        "never",
        "--",
        "sh",
        "-c",
        command,
    ];
    let live = output(&mut run(&project, &trace, &words))?;
    let report = json(&live)?;
    check(report["ran"]["end"] == "finished, exit 7", || {
        format!("{}\n{}", report["ran"], text(&live.stderr))
    })?;
    let lines = output(belljar(["report", "--format", "jsonl", "--fail-on", "never"]).arg(&trace))?;
    let lines = text(&lines.stdout);
    check(lines.contains("from the project"), || lines.clone())
}

/// The shell as a layer, and one that takes something away and puts something there.
fn layers(dir: &Path) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let packed = fs::read(tarball(dir)?)?;
    let plain = Command::new("gzip")
        .arg("-dc")
        .arg(dir.join("root.tar.gz"))
        .output()?;
    let over = dir.join("over");
    fs::create_dir_all(over.join("etc"))?;
    fs::write(over.join("etc/motto"), "from the second layer\n")?;
    let second = Command::new("tar")
        .args([
            "-C".as_ref(),
            over.as_os_str(),
            "-cf".as_ref(),
            "-".as_ref(),
        ])
        .arg("etc")
        .output()?;
    Ok(vec![
        (packed, plain.stdout),
        (second.stdout.clone(), second.stdout),
    ])
}

fn pulled() -> Result {
    let dir = tempfile::tempdir()?;
    let image = registry::Image::new("team/shell", "1.0", &layers(dir.path())?);
    let registry = Registry::serve(image.paths, true)?;
    let reference = format!("docker://{}/team/shell:1.0", registry.address);
    let kernel = kernel(dir.path())?;
    let cache = dir.path().join("cache");
    let import =
        output(apart(&cache, &["image", "import", &reference, "--name", "shell"]).args(&kernel))?;
    check(code(&import) == 0, || text(&import.stderr))?;
    check(text(&import.stderr).contains("layer 2 of 2"), || {
        text(&import.stderr)
    })?;
    let project = dir.path().join("project");
    fs::create_dir(&project)?;
    let script = "read line < /etc/motto; echo \"$line\"; exit 5";
    let trace = dir.path().join("t.bjt");
    // The same kernel again, this time at the run.
    let mut words: Vec<&str> = kernel.iter().map(String::as_str).collect();
    words.extend(["--image", "shell", "--fail-on", "never"]);
    words.extend(["--", "sh", "-c", script]);
    let live = output(run(&project, &trace, &words).env("XDG_CACHE_HOME", &cache))?;
    let report = json(&live)?;
    check(report["ran"]["end"] == "finished, exit 5", || {
        format!("{}\n{}", report["ran"], text(&live.stderr))
    })?;
    check(cache.join("belljar/kernels").is_dir(), || {
        "the kernel was not kept".into()
    })?;
    let said = terminal(&events(&trace)?);
    check(said.contains("from the second layer"), || said.clone())
}

/// `docker save` has one folder a layer and a list; newer ones an OCI layout.
fn saved() -> Result {
    let dir = tempfile::tempdir()?;
    let layers = layers(dir.path())?;
    let kernel = kernel(dir.path())?;
    let cache = dir.path().join("cache");
    let ids: Vec<_> = layers
        .iter()
        .map(|(_, plain)| registry::digest(plain))
        .collect();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": ids },
    })
    .to_string();
    let docker = dir.path().join("docker");
    let mut names = Vec::new();
    for (number, (_, plain)) in layers.iter().enumerate() {
        let name = format!("{number}/layer.tar");
        fs::create_dir_all(docker.join(number.to_string()))?;
        fs::write(docker.join(&name), plain)?;
        names.push(name);
    }
    fs::write(docker.join("config.json"), &config)?;
    let list = serde_json::json!([
        { "Config": "config.json", "RepoTags": ["shell:1"], "Layers": names },
    ]);
    fs::write(docker.join("manifest.json"), list.to_string())?;

    // What the registry serves, as files.
    let oci = dir.path().join("oci");
    fs::create_dir_all(oci.join("blobs/sha256"))?;
    for (path, reply) in registry::Image::new("a", "latest", &layers).paths {
        let Reply::Whole(_, _, body) = reply else {
            continue;
        };
        let name = path.rsplit('/').next().unwrap_or_default();
        let to = match name.strip_prefix("sha256:") {
            Some(hex) => oci.join("blobs/sha256").join(hex),
            None => oci.join("index.json"),
        };
        fs::write(to, body)?;
    }
    fs::write(oci.join("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}")?;

    for name in ["docker", "oci"] {
        let archive = dir.path().join(format!("{name}.tar"));
        let packed = Command::new("tar")
            .arg("-C")
            .arg(dir.path().join(name))
            .arg("-cf")
            .args([archive.as_os_str(), ".".as_ref()])
            .status()?;
        check(packed.success(), || "tar failed".into())?;
        let mut import = apart(&cache, &["image", "import", "--name", name]);
        let import = output(import.args(&kernel).arg(&archive))?;
        check(code(&import) == 0, || text(&import.stderr))?;
    }
    let list = output(&mut apart(&cache, &["image", "list"]))?;
    let list = text(&list.stdout);
    check(list.matches("image of 2 layers").count() == 2, || {
        list.clone()
    })
}

/// Everything below a process.
fn descendants(pid: u32) -> Vec<u32> {
    let mut all = Vec::new();
    let mut next = vec![pid];
    while let Some(one) = next.pop() {
        let below = children(one).into_iter().map(|(pid, _)| pid);
        let below: Vec<u32> = below.filter(|pid| !all.contains(pid)).collect();
        all.extend(&below);
        next.extend(&below);
    }
    all
}

/// Kills it as nothing can be prepared for, and waits for all it started.
fn kill_whole(mut child: Child) -> Result {
    let below = descendants(child.id());
    signal(child.id(), "KILL");
    child.wait()?;
    wait_until(
        "the end of what it started",
        Duration::from_secs(90),
        || !below.iter().any(|pid| alive(*pid)),
    )
}

/// The next import in this cache works, and tidies up.
fn next_works(dir: &Path, cache: &Path) -> Result {
    check(
        images(cache).iter().all(|name| name.contains(".partial-")),
        || format!("{:?}", images(cache)),
    )?;
    let list = output(&mut apart(cache, &["image", "list", "--format", "json"]))?;
    check(text(&list.stdout).trim() == "[]", || text(&list.stdout))?;
    let mut import = apart(cache, &["image", "import", "--name", "next"]);
    let import = output(import.args(kernel(dir)?).arg(tarball(dir)?))?;
    check(code(&import) == 0, || text(&import.stderr))?;
    let left = images(cache);
    check(left == [text(&import.stdout).trim()], || {
        format!("{left:?}")
    })
}

fn killed_import() -> Result {
    let dir = tempfile::tempdir()?;
    let layers = layers(dir.path())?;
    let mut image = registry::Image::new("team/shell", "1.0", &layers);
    let first = image.layers.first().cloned().ok_or("no layer")?;
    let body = layers.first().map(|(packed, _)| packed.clone());
    image
        .paths
        .insert(first.clone(), Reply::Half(body.unwrap_or_default()));
    let registry = Registry::serve(image.paths, false)?;
    let reference = format!("docker://{}/team/shell:1.0", registry.address);
    let cache = dir.path().join("cache");
    let words = ["image", "import", &reference, "--name", "shell"];
    let child = apart(&cache, &words)
        .args(kernel(dir.path())?)
        .stderr(Stdio::null())
        .spawn()?;
    wait_until("the middle of the import", Duration::from_secs(60), || {
        registry.asked().contains(&first)
    })?;
    check(images(&cache).len() == 1, || {
        format!("{:?}", images(&cache))
    })?;
    kill_whole(child)?;
    next_works(dir.path(), &cache)
}

fn killed_build() -> Result {
    let dir = tempfile::tempdir()?;
    // A mirror that never says anything.
    let mirror = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = format!("http://{}/debian", mirror.local_addr()?);
    let cache = dir.path().join("cache");
    let words = ["image", "build", "--flavour", "base", "--mirror", &address];
    let child = apart(&cache, &words)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    mirror.set_nonblocking(true)?;
    let mut asked = Vec::new();
    wait_until(
        "the build's first request",
        Duration::from_secs(120),
        || {
            asked.extend(mirror.accept());
            !asked.is_empty()
        },
    )?;
    check(images(&cache).len() == 1, || {
        format!("{:?}", images(&cache))
    })?;
    kill_whole(child)?;
    next_works(dir.path(), &cache)
}
