//! Real machines under a real hypervisor: boot, console, channel, pause, every
//! way to end, and that nothing is left behind. The same tests for each one:
//! QEMU, or the one that `BELLJAR_TEST_MACHINE` names (see `nested.rs`).
//!
//! Needs the hypervisor, a C compiler (or a compiled guest, `BELLJAR_TEST_INIT`)
//! and a guest image: a folder named by `BELLJAR_TEST_IMAGE` with `vmlinuz`,
//! `root.erofs` and `modules/`, or one in belljar's own cache. Where one of them
//! is missing, the tests are reported as ignored, with the reason on standard
//! error.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test, which clippy does not see without libtest's harness"
)]

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use belljar_vmm::link::{Link, LinkError};
use belljar_vmm::{BootError, ControlError, ExitHow, MachineChoice, MachineExit, Spec, Vm, boot};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use support::{HELPER, Kit, alive, block, files_below, open_files, shut, signal, stopped, told_of};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Long: the machine may be shared, and emulation is slow.
const UP: Duration = Duration::from_secs(300);
/// A guest that was told to end does so within this time.
const END: Duration = Duration::from_secs(120);

fn main() {
    let kit = Kit::find();
    if std::env::var_os(HELPER).is_some() {
        // Started by `killed_parent_takes_the_machine_along`, to be killed.
        return block(boot_and_wait(&kit.expect("the parent test had one").spec()));
    }
    let mut arguments = Arguments::from_args();
    // One at a time: one test counts this process's descriptors, and emulated
    // guests are slow enough without company.
    arguments.test_threads = Some(1);
    let missing = kit.as_ref().err().cloned();
    if let Some(why) = &missing {
        eprintln!("tests with machines are ignored: {why}");
    }
    let trial = |name: &str, test: fn(&Kit) -> Result<(), Failed>| {
        let kit = kit.as_ref().ok().cloned();
        let run = move || kit.map_or_else(|| Err("no machine".into()), |kit| test(&kit));
        Trial::test(name, run).with_ignored_flag(missing.is_some())
    };
    let mut trials = vec![
        trial(
            "boots_talks_pauses_and_powers_off",
            boots_talks_pauses_and_powers_off,
        ),
        trial(
            "pauses_lose_no_word_and_are_measured",
            pauses_lose_no_word_and_are_measured,
        ),
        trial("handshakes_with_a_guest", handshakes_with_a_guest),
        trial("a_reset_ends_it_and_says_so", a_reset_ends_it_and_says_so),
        trial(
            "a_panic_is_told_with_the_console",
            a_panic_is_told_with_the_console,
        ),
        trial("kill_and_drop_leave_nothing", kill_and_drop_leave_nothing),
        trial(
            "killed_parent_takes_the_machine_along",
            killed_parent_takes_the_machine_along,
        ),
        trial("hypervisor_is_confined", hypervisor_is_confined),
        trial(
            "closed_channel_ends_the_guest",
            closed_channel_ends_the_guest,
        ),
        trial("a_broken_kernel_is_an_error", a_broken_kernel_is_an_error),
        trial(
            "a_hypervisor_that_tells_nothing_any_more_is_ended",
            a_hypervisor_that_tells_nothing_any_more_is_ended,
        ),
        trial(
            "a_hypervisor_that_stands_still_is_told",
            a_hypervisor_that_stands_still_is_told,
        ),
        trial(
            "a_woken_machine_is_like_a_booted_one",
            a_woken_machine_is_like_a_booted_one,
        ),
        trial("a_damaged_base_is_replaced", a_damaged_base_is_replaced),
    ];
    if kit.as_ref().is_ok_and(Kit::other) {
        trials.push(trial(
            "commands_that_reach_nobody_are_told",
            commands_that_reach_nobody_are_told,
        ));
    }
    if !kit.as_ref().is_ok_and(Kit::other) {
        trials.push(trial(
            "the_probe_guest_answers_under_emulation",
            the_probe_guest_answers,
        ));
        trials.push(trial("no_consent_no_emulation", no_consent_no_emulation));
        let inner = kit.as_ref().ok().cloned();
        trials.push(Trial::ignorable_test(
            "the_same_under_cloud_hypervisor",
            move || the_same_under_cloud_hypervisor(inner.as_ref()),
        ));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// Boots, says who is who, and waits for a signal from outside.
async fn boot_and_wait(spec: &Spec) {
    let vm = boot(spec).await.unwrap();
    println!("{}", vm.pid());
    vm.wait().await;
}

/// Boots and waits until the test guest has opened its port.
async fn up(spec: &Spec) -> Result<(Vm, belljar_vmm::Channel), Failed> {
    let mut vm = boot(spec).await?;
    let mut channel = vm.channel().await.ok_or("no channel")?;
    let talk = async {
        channel.write_all(b"ping").await?;
        let mut answer = [0; 4];
        channel.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::select! {
        answer = tokio::time::timeout(UP, talk) => answer,
        exit = vm.wait() => return Err(format!("machine ended: {exit:?}").into()),
    };
    match answer {
        Ok(Ok(answer)) if &answer == b"ping" => Ok((vm, channel)),
        other => {
            let exit = tokio::time::timeout(Duration::from_secs(2), vm.wait()).await;
            Err(format!("{other:?}; {exit:?}; console:\n{}", vm.console_tail()).into())
        }
    }
}

/// The test guest's clock since its boot.
async fn uptime(channel: &mut belljar_vmm::Channel) -> Result<Duration, Failed> {
    channel.write_all(b"time\n").await?;
    let mut answer = [0; 20];
    tokio::time::timeout(UP, channel.read_exact(&mut answer)).await??;
    let nanos: u64 = std::str::from_utf8(&answer)?.parse()?;
    Ok(Duration::from_nanos(nanos))
}

/// Waits for the machine's end; one that does not come is told with the console.
async fn ended(vm: &Vm) -> Result<MachineExit, Failed> {
    match tokio::time::timeout(END, vm.wait()).await {
        Ok(exit) => Ok(exit),
        Err(_) => {
            let exit = vm.kill().await;
            Err(format!("it does not end; {exit:?}").into())
        }
    }
}

fn boots_talks_pauses_and_powers_off(kit: &Kit) -> Result<(), Failed> {
    block(async {
        let (vm, mut channel) = up(&kit.spec()).await?;
        // The serial port is slower than the channel: the line may come after the answer.
        let said = || vm.console_tail().contains("guest: port open");
        let since = Instant::now();
        while !said() && since.elapsed() < UP {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(said(), "{}", vm.console_tail());
        assert_eq!(vm.machine().accelerator == "tcg", vm.machine().degraded);

        assert!(vm.running().await?);
        let paused = Instant::now();
        vm.pause().await?;
        println!("pause took {:?}", paused.elapsed());
        assert!(!vm.running().await?);
        channel.write_all(b"later").await?;
        let mut answer = [0; 5];
        let early = tokio::time::timeout(Duration::from_secs(1), channel.read_exact(&mut answer));
        assert!(early.await.is_err(), "a paused guest answered");
        vm.resume().await?;
        // A cancelled read of five bytes may have taken none: nothing had come.
        tokio::time::timeout(UP, channel.read_exact(&mut answer)).await??;
        assert_eq!(&answer, b"later");

        channel.write_all(b"off\n").await?;
        let exit = ended(&vm).await?;
        assert!(exit.powered_off(), "{exit:?}");
        assert_eq!(vm.wait().await, exit, "asked twice, answered twice");
        assert!(vm.pause().await.is_err());
        Ok(())
    })
}

/// What is said to a paused guest is answered after it goes on, each time. What a
/// pause and the way back cost is printed: `./dev bench pause` shows it.
fn pauses_lose_no_word_and_are_measured(kit: &Kit) -> Result<(), Failed> {
    const TURNS: u8 = 40;
    let [mut pauses, mut resumes, mut answers, mut direct] = [const { Vec::new() }; 4];
    block(async {
        let (vm, mut channel) = up(&kit.spec()).await?;
        let mut answer = [0; 4];
        for turn in 0..TURNS {
            let word = [b'w', b'o', b'r', turn];
            let since = Instant::now();
            channel.write_all(&word).await?;
            tokio::time::timeout(UP, channel.read_exact(&mut answer)).await??;
            assert_eq!(answer, word);
            direct.push(since.elapsed());

            let since = Instant::now();
            vm.pause().await?;
            pauses.push(since.elapsed());
            let word = [b'W', b'O', b'R', turn];
            channel.write_all(&word).await?;
            let since = Instant::now();
            vm.resume().await?;
            resumes.push(since.elapsed());
            tokio::time::timeout(UP, channel.read_exact(&mut answer)).await??;
            assert_eq!(answer, word);
            answers.push(since.elapsed());
        }
        vm.kill().await;
        Ok::<_, Failed>(())
    })?;
    let named = [
        ("pause", pauses),
        ("resume", resumes),
        ("resume to the guest's answer", answers),
        ("answer of a guest that runs", direct),
    ];
    for (name, mut times) in named {
        times.sort_unstable();
        let at = |part: usize| {
            times
                .get(times.len() * part / 100)
                .map(|t| t.as_secs_f64() * 1e3)
        };
        let (half, most) = (at(50).unwrap_or(0.0), at(99).unwrap_or(0.0));
        println!("  {name:<30} p50 {half:>8.3} ms   p99 {most:>8.3} ms");
    }
    Ok(())
}

fn handshakes_with_a_guest(kit: &Kit) -> Result<(), Failed> {
    block(async {
        let mut vm = boot(&kit.spec()).await?;
        let link = vm.link(UP).await?;
        assert_ne!(link.session(), [0; 16]);
        assert!(matches!(vm.link(UP).await, Err(LinkError::Taken)));
        Ok(())
    })
}

fn a_reset_ends_it_and_says_so(kit: &Kit) -> Result<(), Failed> {
    block(async {
        let (vm, mut channel) = up(&kit.spec()).await?;
        channel.write_all(b"reset\n").await?;
        let exit = ended(&vm).await?;
        assert_eq!(exit.reason.as_deref(), Some("guest-reset"), "{exit:?}");
        assert!(!exit.powered_off());
        Ok(())
    })
}

fn a_panic_is_told_with_the_console(kit: &Kit) -> Result<(), Failed> {
    block(async {
        let mut spec = kit.spec();
        spec.cmdline_extra = "rdinit=/nothing root=/dev/nothing".into();
        let mut vm = boot(&spec).await?;
        let error = vm.link(UP).await.err().ok_or("a dead guest shook hands")?;
        let LinkError::Ended { console, exit } = &error else {
            return Err(format!("not an end: {error}").into());
        };
        assert!(console.contains("Kernel panic"), "{console}");
        assert!(exit.contains("guest-reset"), "{exit}");
        assert!(error.to_string().contains("Kernel panic"));
        Ok(())
    })
}

fn kill_and_drop_leave_nothing(kit: &Kit) -> Result<(), Failed> {
    let before = open_files();
    let files = files_below(&std::env::temp_dir());
    block(async {
        let vm = boot(&kit.spec()).await?;
        let pid = vm.pid();
        assert!(alive(pid));
        let exit = vm.kill().await;
        assert_eq!(exit.how, ExitHow::Signal(9));
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "not reaped");
        drop(vm);

        let vm = boot(&kit.spec()).await?;
        let pid = vm.pid();
        drop(vm);
        assert!(
            !Path::new(&format!("/proc/{pid}")).exists(),
            "dropped and not reaped"
        );
        Ok::<_, Failed>(())
    })?;
    assert_eq!(open_files(), before, "descriptors leaked");
    let new: Vec<_> = files_below(&std::env::temp_dir())
        .difference(&files)
        .cloned()
        .collect();
    let ours: Vec<_> = new.iter().filter(|path| path.contains("belljar")).collect();
    assert!(ours.is_empty(), "{ours:?}");
    Ok(())
}

fn killed_parent_takes_the_machine_along(_: &Kit) -> Result<(), Failed> {
    let mut parent = Command::new(std::env::current_exe()?)
        .env(HELPER, "1")
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(parent.stdout.take().ok_or("no stdout")?).read_line(&mut line)?;
    let pid: u32 = line.trim().parse().map_err(|e| format!("{line:?}: {e}"))?;
    assert!(alive(pid));
    parent.kill()?; // SIGKILL: nobody gets to clean up
    parent.wait()?;
    assert!(
        stopped(pid, Duration::from_secs(10)),
        "hypervisor {pid} outlived its parent"
    );
    Ok(())
}

fn hypervisor_is_confined(kit: &Kit) -> Result<(), Failed> {
    block(async {
        let secret = std::fs::File::open("/proc/self/status")?;
        let vm = boot(&kit.spec()).await?;
        let proc = |file: &str| format!("/proc/{}/{file}", vm.pid());
        let status = std::fs::read_to_string(proc("status"))?;
        let line = |key: &str| {
            let line = status.lines().find(|line| line.starts_with(key));
            line.map(|line| {
                line.split_whitespace()
                    .skip(1)
                    .collect::<Vec<_>>()
                    .join(" ")
            })
        };
        assert_eq!(line("NoNewPrivs:").as_deref(), Some("1"));
        assert!(filtered(vm.pid(), kit)?, "its own filter");
        assert_ne!(line("Uid:").as_deref(), Some("0 0 0 0"));
        for set in ["CapPrm:", "CapEff:", "CapAmb:"] {
            assert_eq!(line(set).as_deref(), Some("0000000000000000"), "{set}");
        }
        let limits = std::fs::read_to_string(proc("limits"))?;
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"));
        assert_eq!(
            core.and_then(|line| line.split_whitespace().nth(4)),
            Some("0")
        );
        assert!(std::fs::read(proc("environ"))?.is_empty());
        let argv = String::from_utf8(std::fs::read(proc("cmdline"))?)?;
        assert!(
            !argv.contains(&kit.image.dir.display().to_string()),
            "{argv}"
        );
        for entry in std::fs::read_dir(proc("fd"))? {
            // Some are closed while they are looked at.
            let Ok(target) = std::fs::read_link(entry?.path()) else {
                continue;
            };
            assert!(
                !target.ends_with("status"),
                "inherited {}",
                target.display()
            );
        }
        drop(secret);
        Ok(())
    })
}

/// True if the hypervisor filters its own system calls: in each of its threads.
/// cloud-hypervisor's first one only waits for the others, without a filter.
fn filtered(pid: u32, kit: &Kit) -> Result<bool, Failed> {
    let mut open = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?;
        // A worker's thread may end at any time.
        let Ok(status) = std::fs::read_to_string(task.path().join("status")) else {
            continue;
        };
        if !status.lines().any(|line| line == "Seccomp:\t2") {
            open.push(task.file_name());
        }
    }
    let first = std::ffi::OsString::from(pid.to_string());
    Ok(open.iter().all(|task| kit.other() && *task == first))
}

fn closed_channel_ends_the_guest(kit: &Kit) -> Result<(), Failed> {
    block(async {
        let (vm, channel) = up(&kit.spec()).await?;
        drop(channel);
        let exit = ended(&vm).await?;
        assert!(exit.powered_off(), "{exit:?}");
        assert!(
            exit.console.contains("guest: the channel ended"),
            "{}",
            exit.console
        );
        Ok(())
    })
}

fn the_probe_guest_answers(_: &Kit) -> Result<(), Failed> {
    let probe = block(belljar_vmm::probe::emulation(None));
    assert_eq!(probe, belljar_vmm::probe::Probe::Usable);
    Ok(())
}

/// These very tests, with a real cloud-hypervisor, in an outer guest whose KVM
/// works (`tests/nested`). Emulation twice over hangs now and then: once more then.
fn the_same_under_cloud_hypervisor(kit: Option<&Kit>) -> Result<Completion, Failed> {
    let Some(kit) = kit else {
        return Ok(Completion::ignored_with("no machine"));
    };
    let mut last = String::new();
    for _ in 0..2 {
        let outcome = kit.nested()?;
        match outcome.status.code() {
            Some(0) => return Ok(Completion::Completed),
            Some(77) => {
                let why = String::from_utf8_lossy(&outcome.stderr);
                let why = why
                    .lines()
                    .last()
                    .unwrap_or("something is missing")
                    .to_owned();
                return Ok(Completion::ignored_with(why));
            }
            code => last = format!("{code:?}\n{}", String::from_utf8_lossy(&outcome.stdout)),
        }
    }
    Err(format!("not the same under cloud-hypervisor: {last}").into())
}

/// The first machine boots and leaves a base; later ones go on from it, several at
/// a time, and end in each of the ways in which a booted one does.
fn a_woken_machine_is_like_a_booted_one(kit: &Kit) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let mut spec = kit.spec();
    spec.warm = Some(folder.path().into());
    let times = block(async {
        let mut times = Vec::new();
        let mut machines = Vec::new();
        for _ in 0..3 {
            let since = Instant::now();
            let mut vm = boot(&spec).await?;
            let link = vm.link(UP).await?;
            times.push(since.elapsed());
            machines.push((vm, link));
        }
        let woken: Vec<_> = machines.iter().map(|(vm, _)| vm.woken()).collect();
        assert_eq!(woken, [false, true, true]);
        let sessions: std::collections::BTreeSet<_> =
            machines.iter().map(|(_, link)| link.session()).collect();
        assert_eq!(sessions.len(), machines.len());
        for (vm, _) in &machines {
            assert!(vm.running().await?);
            vm.pause().await?;
            assert!(!vm.running().await?);
            vm.resume().await?;
        }
        // The channel's end is the machine's.
        for (vm, link) in machines {
            drop(link);
            let exit = ended(&vm).await?;
            assert!(exit.powered_off(), "{exit:?}");
        }
        let (_one, mut channel) = up(&spec).await?;
        let one = uptime(&mut channel).await?;
        let since = Instant::now();
        tokio::time::sleep(Duration::from_secs(10)).await;
        let (vm, mut channel) = up(&spec).await?;
        assert!(vm.woken());
        // Its clock goes on from where it stood, however old the base is.
        let (two, since) = (uptime(&mut channel).await?, since.elapsed());
        assert!(
            two < one + since / 2,
            "{two:?} after {one:?}, {since:?} later"
        );
        channel.write_all(b"reset\n").await?;
        let exit = ended(&vm).await?;
        assert_eq!(exit.reason.as_deref(), Some("guest-reset"), "{exit:?}");
        Ok::<_, Failed>(times)
    })?;
    println!("booted and linked, then woken and linked: {times:?}");
    Ok(())
}

fn a_damaged_base_is_replaced(kit: &Kit) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let mut spec = kit.spec();
    spec.warm = Some(folder.path().into());
    let woken = || {
        block(async {
            let mut vm = boot(&spec).await?;
            vm.link(UP).await?;
            Ok::<_, Failed>(vm.woken())
        })
    };
    assert!(!woken()?);
    assert!(woken()?);
    let base = std::fs::read_dir(folder.path())?
        .next()
        .ok_or("no base")??;
    // A state that is whole for us, and nonsense for the hypervisor.
    let state = base.path().join("state");
    let whole = std::fs::read(&state)?;
    std::fs::write(&state, b"QEVM nonsense")?;
    let manifest = base.path().join("manifest.json");
    let text = std::fs::read_to_string(&manifest)?;
    let digest = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
    let text = text.replace(&digest(&whole), &digest(b"QEVM nonsense"));
    std::fs::write(&manifest, text)?;
    assert!(!woken()?, "nonsense was gone on with");
    // One that is taken, and then says nothing.
    assert!(!woken()?);
    block(async {
        let mut vm = boot(&spec).await?;
        assert!(vm.woken());
        vm.pause().await?;
        let silent = vm.link(Duration::from_secs(2)).await;
        assert!(matches!(silent, Err(LinkError::Silent { .. })));
        Ok::<_, Failed>(())
    })?;
    assert!(!woken()?, "what fell silent was gone on with");
    Ok(())
}

fn no_consent_no_emulation(kit: &Kit) -> Result<(), Failed> {
    block(async {
        let mut spec = kit.spec();
        spec.machine = MachineChoice::Tcg;
        spec.allow_degraded = false;
        let error = boot(&spec).await.err().ok_or("booted without consent")?;
        assert!(matches!(error, BootError::NeedsConsent { .. }), "{error}");
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.contains("--allow-degraded"))
        );
        Ok(())
    })
}

/// The socket over which it tells of its machine is closed from outside: the
/// machine's end, with the reason.
fn a_hypervisor_that_tells_nothing_any_more_is_ended(kit: &Kit) -> Result<(), Failed> {
    let before = open_files();
    block(async {
        let (vm, channel) = up(&kit.spec()).await?;
        let words = match kit.other() {
            true => "--event-monitor fd=",
            false => "socket,id=qmp,fd=",
        };
        shut(vm.pid(), told_of(vm.pid(), words)?)?;
        let exit = ended(&vm).await?;
        let said = exit.to_string();
        assert!(said.contains("closed its control socket"), "{said}");
        assert_eq!(exit.how, ExitHow::Signal(9));
        assert_eq!(vm.wait().await, exit);
        let error = vm.pause().await.unwrap_err();
        assert!(matches!(error, ControlError::Gone { .. }), "{error}");
        drop(channel);
        Ok::<_, Failed>(())
    })?;
    assert_eq!(open_files(), before, "descriptors leaked");
    Ok(())
}

/// Stopped by a signal it obeys nothing; it can still be ended.
fn a_hypervisor_that_stands_still_is_told(kit: &Kit) -> Result<(), Failed> {
    block(async {
        let (vm, channel) = up(&kit.spec()).await?;
        signal(vm.pid(), rustix::process::Signal::STOP)?;
        let since = Instant::now();
        let error = vm.pause().await.unwrap_err();
        assert!(matches!(error, ControlError::Silent { .. }), "{error}");
        assert!(since.elapsed() < Duration::from_secs(90));
        let exit = vm.kill().await;
        assert_eq!(exit.how, ExitHow::Signal(9));
        drop(channel);
        Ok(())
    })
}

/// cloud-hypervisor hears commands over another socket. Without it a machine
/// goes on, cannot be stopped, and can be ended.
fn commands_that_reach_nobody_are_told(kit: &Kit) -> Result<(), Failed> {
    block(async {
        let (vm, mut channel) = up(&kit.spec()).await?;
        shut(vm.pid(), told_of(vm.pid(), "--api-socket fd=")?)?;
        let error = vm.pause().await.unwrap_err();
        assert!(matches!(error, ControlError::Gone { .. }), "{error}");
        let mut answer = [0; 5];
        channel.write_all(b"still").await?;
        tokio::time::timeout(UP, channel.read_exact(&mut answer)).await??;
        assert_eq!(&answer, b"still");
        assert_eq!(vm.kill().await.how, ExitHow::Signal(9));
        Ok(())
    })
}

fn a_broken_kernel_is_an_error(kit: &Kit) -> Result<(), Failed> {
    block(async {
        let mut spec = kit.spec();
        spec.kernel = std::env::current_exe()?;
        // Either the hypervisor refuses the file, or what it starts never answers.
        match boot(&spec).await {
            Err(BootError::Ended { exit, .. }) => assert_ne!(exit.how, ExitHow::Code(0)),
            Err(BootError::Control { source, .. }) if kit.other() => {
                assert!(matches!(source, ControlError::Refused { .. }), "{source}");
            }
            Err(error) => return Err(format!("not an early end: {error}").into()),
            Ok(mut vm) => {
                let channel = vm.channel().await.ok_or("no channel")?;
                let silence = Link::handshake(channel, Duration::from_secs(5)).await;
                assert!(silence.is_err());
            }
        }
        Ok(())
    })
}
