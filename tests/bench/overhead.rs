//! What a guest costs: boot to payload beside a bare boot, the same work traced
//! and not, and held calls.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use belljar_event::{Fact, Machine, Step};
use belljar_recorder::Reader;

use super::{Result, median};

/// Times that each piece of work is done in one boot, for the median.
fn turns() -> usize {
    let asked = std::env::var("BELLJAR_BENCH_TURNS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(3)
}

/// Name, and a Python function's body; each prints its own seconds.
const WORK: &[(&str, &str)] = &[
    (
        "200,000 open/close",
        "for _ in range(200000): os.close(os.open('/etc/hostname',os.O_RDONLY))",
    ),
    (
        "2,000 spawns of true",
        "for _ in range(2000): os.waitpid(os.posix_spawn('/bin/true',['true'],{}),0)",
    ),
    (
        "2,000 files made, renamed, removed",
        "for _ in range(2000):\n  open('/tmp/f','w').write('x'); os.rename('/tmp/f','/tmp/g'); os.unlink('/tmp/g')",
    ),
    (
        "untar of 3,000 files",
        "subprocess.run(['tar','xf','files.tar','-C',tempfile.mkdtemp()],check=True)",
    ),
    (
        "npm install of a local tarball",
        "d=tempfile.mkdtemp(); open(d+'/package.json','w').write('{}')\n subprocess.run(['npm','install','--offline','--no-audit','--no-fund',os.getcwd()+'/package.tgz'],cwd=d,check=True,stdout=subprocess.DEVNULL)",
    ),
    (
        "arithmetic (no calls)",
        "x=0\n for i in range(3000000): x+=i*i",
    ),
];

/// Prints both tables.
pub(super) fn compare() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let project = dir.path().join("p");
    prepare(&project)?;
    let run = |name: &str, options: &[&str]| Run::of(&project, &dir.path().join(name), options);
    let traced = run("traced.bjt", &["--cold"])?;
    boot(&traced)?;
    let plain = run("plain.bjt", &["--cold", "--no-trace"])?;
    println!(
        "overhead in the guest ({} events; medians of {} within one boot each)",
        traced.events,
        turns()
    );
    for (name, _) in WORK {
        match (traced.seconds(name), plain.seconds(name)) {
            (Some(with), Some(without)) => println!(
                "  {name:<36} traced {with:>7.3} s   untraced {without:>7.3} s   ratio {:.2}",
                with / without
            ),
            _ => println!("  {name:<36} skipped: the guest gave no figures"),
        }
    }
    Ok(())
}

/// Opens a new file often, and prints how long each took.
const OPENS: &str = "import os,time
for n in range(600):
 t=time.monotonic(); f=os.open('/tmp/n%d'%n,os.O_CREAT|os.O_WRONLY); t=time.monotonic()-t
 os.close(f); print('seconds|open|'+str(t),flush=True)
";
/// Of no program: but that is known only to the host, so every such open is held.
const HELD: &str = "[[rule]]\nid = \"nobody\"\naction = \"deny\"\ncondition = \"evt.op = write and proc.name = nobody-at-all\"\n";

/// A question about reading something else: the agent looks at each open, nobody is asked.
const ASKED: &str = "[[rule]]\nid = \"elsewhere\"\naction = \"ask\"\ncondition = \"evt.op = read and fs.path.name = /not/there\"\n";

/// What it costs that calls are held: the same work where nothing is held, and
/// under the default policy; and the way of one held call to the host and back.
pub(super) fn holding() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let project = dir.path().join("p");
    prepare(&project)?;
    let run = |name: &str, options: &[&str]| Run::of(&project, &dir.path().join(name), options);
    let free = dir.path().join("free.toml");
    std::fs::write(&free, "")?;
    let alone = run("alone.bjt", &["--policy", &free.to_string_lossy()])?;
    let default = run("default.bjt", &[])?;
    println!(
        "holding, where nothing asks ({} turns in one boot each)",
        turns()
    );
    for (name, _) in WORK {
        match (default.seconds(name), alone.seconds(name)) {
            (Some(with), Some(without)) => println!(
                "  {name:<36} default {with:>7.3} s   traced alone {without:>7.3} s   ratio {:.2}",
                with / without
            ),
            _ => println!("  {name:<36} skipped: the guest gave no figures"),
        }
    }
    std::fs::write(project.join("work.py"), OPENS)?;
    let [held, asked] = [("held.toml", HELD), ("asked.toml", ASKED)].map(|(name, text)| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).map(|()| path)
    });
    let (held, asked) = (held?, asked?);
    for (what, policy) in [
        ("not held", &free),
        ("looked at by the agent", &asked),
        ("held, decided by the host", &held),
    ] {
        let done = run("opens.bjt", &["--policy", &policy.to_string_lossy()])?;
        let mut times = done.all("open");
        times.sort_by(f64::total_cmp);
        let at = |part: usize| times.get(times.len() * part / 100).map_or(0.0, |s| s * 1e3);
        println!(
            "  open of a new file, {what:<26} p50 {:>7.3} ms   p99 {:>7.3} ms   ({} of them)",
            at(50),
            at(99),
            times.len()
        );
    }
    Ok(())
}

/// The project that the guest works on.
fn prepare(project: &Path) -> Result<()> {
    std::fs::create_dir_all(project)?;
    let mut script = String::from("import os,subprocess,sys,tempfile,time\n");
    let turns = turns();
    for (number, (name, body)) in WORK.iter().enumerate() {
        script.push_str(&format!("def work{number}():\n {body}\n"));
        script.push_str(&format!(
            "for _ in range({turns}):\n try:\n  t=time.monotonic(); work{number}(); print('seconds|{name}|'+str(time.monotonic()-t),flush=True)\n except Exception as e: print('failed|{name}',e,flush=True)\n"
        ));
    }
    std::fs::write(project.join("work.py"), script)?;
    let mut files = tar::Builder::new(std::fs::File::create(project.join("files.tar"))?);
    for number in 0..3000 {
        let name = format!("d{}/f{number}.js", number % 50);
        append(&mut files, &name, &[b'x'; 700])?;
    }
    files.finish()?;
    let packed = std::fs::File::create(project.join("package.tgz"))?;
    let packed = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
    let mut package = tar::Builder::new(packed);
    let about = br#"{"name":"a-bench","version":"1.0.0"}"#;
    append(&mut package, "package/package.json", about)?;
    for number in 0..400 {
        append(
            &mut package,
            &format!("package/lib/f{number}.js"),
            &[b'x'; 700],
        )?;
    }
    package.into_inner()?.finish()?.flush()?;
    Ok(())
}

fn append<W: Write>(archive: &mut tar::Builder<W>, name: &str, bytes: &[u8]) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    Ok(archive.append_data(&mut header, name, bytes)?)
}

/// What one boot gave.
struct Run {
    output: String,
    events: u64,
    machine: Option<Machine>,
    /// Wall-clock seconds from the command to its end.
    wall: f64,
    /// Guest clock when the payload began and when the run was over.
    began: f64,
    ended: f64,
}

impl Run {
    fn of(project: &Path, trace: &Path, options: &[&str]) -> Result<Self> {
        let mut run = Command::new(env!("CARGO_BIN_EXE_belljar"));
        run.args(["run", "--headless", "--allow-degraded", "-o"])
            .arg(trace);
        run.args(options);
        run.arg(project).args(["--", "python3", "work.py"]);
        let begun = Instant::now();
        run.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        let mut found = Self {
            output: String::new(),
            events: 0,
            machine: None,
            wall: begun.elapsed().as_secs_f64(),
            began: 0.0,
            ended: 0.0,
        };
        for entry in Reader::open(std::fs::File::open(trace)?)? {
            let entry = entry?;
            found.events += 1;
            found.ended = entry.at() as f64 / 1e9;
            match &entry.event().fact {
                Fact::Output(output) => found
                    .output
                    .push_str(&String::from_utf8_lossy(&output.bytes)),
                Fact::Machine(machine) => found.machine = Some(machine.clone()),
                Fact::Phase(phase) if matches!(phase.step, Step::Begin { .. }) => {
                    found.began = found.ended;
                }
                _ => {}
            }
        }
        Ok(found)
    }

    fn seconds(&self, name: &str) -> Option<f64> {
        let seconds = self.all(name);
        (seconds.len() == turns()).then(|| median(seconds))
    }

    fn all(&self, name: &str) -> Vec<f64> {
        let lines = self.output.lines().filter_map(|line| {
            let (of, seconds) = line.trim().strip_prefix("seconds|")?.split_once('|')?;
            seconds.parse().ok().filter(|_| of == name)
        });
        lines.collect()
    }
}

/// Boot to payload, beside the same kernel that only starts and powers off.
fn boot(run: &Run) -> Result<()> {
    let accelerator = run
        .machine
        .as_ref()
        .map_or("tcg", |machine| machine.accelerator.as_str());
    let to_payload = run.wall - (run.ended - run.began);
    println!(
        "boot ({accelerator}): {to_payload:.2} s from the command to the payload and from its end to the report, {:.2} s of it guest clock",
        run.began
    );
    let Some(kernel) = kernel() else {
        println!("  bare boot: skipped, no image in the cache");
        return Ok(());
    };
    let dir = tempfile::tempdir()?;
    let initramfs = dir.path().join("initramfs");
    std::fs::write(&initramfs, archive(&power_off()))?;
    let mut seconds = Vec::new();
    for _ in 0..turns() {
        let begun = Instant::now();
        let status = Command::new("qemu-system-x86_64")
            .args([
                "-nodefaults",
                "-nographic",
                "-no-reboot",
                "-m",
                "2048",
                "-smp",
                "2",
            ])
            .args(["-machine", "q35", "-accel", accelerator])
            .args(["-cpu", if accelerator == "kvm" { "host" } else { "max" }])
            .arg("-kernel")
            .arg(&kernel)
            .arg("-initrd")
            .arg(&initramfs)
            .args(["-append", "quiet panic=-1 tsc=unstable mitigations=off"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !status.is_ok_and(|status| status.success()) {
            println!("  bare boot: skipped, QEMU did not start");
            return Ok(());
        }
        seconds.push(begun.elapsed().as_secs_f64());
    }
    let bare = median(seconds);
    println!(
        "  bare boot {bare:.2} s (the same kernel, powered off by its first program)   ratio {:.2}",
        to_payload / bare
    );
    Ok(())
}

/// The kernel of the image that was used last.
fn kernel() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let images = std::fs::read_dir(cache.join("belljar/images")).ok()?;
    let kernels = images.filter_map(|image| {
        let kernel = image.ok()?.path().join("vmlinuz");
        Some((kernel.metadata().ok()?.modified().ok()?, kernel))
    });
    kernels.max().map(|(_, kernel)| kernel)
}

/// A program of one call: reboot, which powers the machine off.
fn power_off() -> Vec<u8> {
    const AT: u64 = 0x40_0000;
    const HEAD: u64 = 64 + 56;
    let mut code = Vec::new();
    // eax: reboot; edi, esi: its magic; edx: power off; syscall
    for (load, value) in [
        (0xb8, 169u32),
        (0xbf, 0xfee1_dead),
        (0xbe, 672_274_793),
        (0xba, 0x4321_fedc),
    ] {
        code.push(load);
        code.extend(value.to_le_bytes());
    }
    code.extend([0x0f, 0x05]);
    let size = HEAD + code.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    for value in [AT + HEAD, 64, 0] {
        elf.extend(value.to_le_bytes());
    }
    elf.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
    elf.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    for value in [0, AT, AT, size, size, 0x1000] {
        elf.extend(value.to_le_bytes());
    }
    elf.extend(code);
    elf
}

/// A cpio archive with this program as /init.
fn archive(init: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for (name, bytes, mode) in [("init", init, 0o100_755), ("TRAILER!!!", &[][..], 0)] {
        let fields = [
            1,
            mode,
            0,
            0,
            1,
            0,
            bytes.len(),
            0,
            0,
            0,
            0,
            name.len() + 1,
            0,
        ];
        all.extend(b"070701");
        fields
            .iter()
            .for_each(|field| all.extend(format!("{field:08x}").into_bytes()));
        all.extend(name.as_bytes());
        all.push(0);
        all.resize(all.len().next_multiple_of(4), 0);
        all.extend(bytes);
        all.resize(all.len().next_multiple_of(4), 0);
    }
    all
}
