use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::*;

const GREETING: &str = "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\r\n";

/// A hypervisor that answers each command with what `answers` says; `$ID`
/// stands for the command's id.
async fn hypervisor(socket: UnixStream, answers: Vec<(&'static str, String)>) -> UnixStream {
    let mut lines = BufReader::new(socket);
    lines
        .get_mut()
        .write_all(GREETING.as_bytes())
        .await
        .unwrap();
    for (command, answer) in answers {
        let mut line = String::new();
        lines.read_line(&mut line).await.unwrap();
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["execute"], command);
        let answer = answer.replace("$ID", &value["id"].to_string());
        lines.get_mut().write_all(answer.as_bytes()).await.unwrap();
    }
    lines.into_inner()
}

fn yes() -> String {
    "{\"return\": {}, \"id\": $ID}\r\n".into()
}

#[tokio::test]
async fn commands_are_answered_past_events_and_noise() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let noise =
        "{\"event\": \"STOP\"}\r\nnot json\r\n{\"return\": {\"wrong\": 1}, \"id\": 999}\r\n";
    let peer = tokio::spawn(hypervisor(
        theirs,
        vec![
            ("qmp_capabilities", yes()),
            ("stop", format!("{noise}{}", yes())),
            (
                "query-status",
                "{\"return\": {\"running\": false}, \"id\": $ID}\r\n".into(),
            ),
            (
                "cont",
                "{\"error\": {\"desc\": \"no\\u001b[31m\"}, \"id\": $ID}\r\n".into(),
            ),
        ],
    ));
    let qmp = Qmp::connect(ours, Shutdown::default(), async {})
        .await
        .unwrap();
    qmp.command("stop").await.unwrap();
    assert_eq!(qmp.command("query-status").await.unwrap()["running"], false);
    let refused = qmp.command("cont").await.unwrap_err();
    assert_eq!(
        refused,
        ControlError::Refused {
            command: "cont",
            why: "no\\u{1b}[31m".into()
        }
    );
    drop(peer.await.unwrap());
    assert_eq!(
        qmp.command("stop").await.unwrap_err(),
        ControlError::Gone { command: "stop" }
    );
}

#[tokio::test]
async fn a_shutdown_says_why() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let event =
        "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": \"guest-reset\"}}\r\n";
    let answer = format!("{}{event}", yes());
    let peer = tokio::spawn(hypervisor(theirs, vec![("qmp_capabilities", answer)]));
    let shutdown = Shutdown::default();
    let qmp = Qmp::connect(ours, shutdown.clone(), async {})
        .await
        .unwrap();
    drop(peer.await.unwrap());
    qmp.drained(Duration::from_secs(5)).await;
    assert_eq!(shutdown.get().as_deref(), Some("guest-reset"));
}

#[tokio::test]
async fn an_endless_line_ends_it() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let flood = tokio::spawn(async move {
        let piece = vec![b'x'; 8192];
        let mut written = 0_usize;
        while theirs.write_all(&piece).await.is_ok() {
            written += piece.len();
            assert!(written < 16 << 20, "the client reads for ever");
        }
    });
    let error = Qmp::connect(ours, Shutdown::default(), async {})
        .await
        .unwrap_err();
    assert_eq!(
        error,
        ControlError::Gone {
            command: "qmp_capabilities"
        }
    );
    flood.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn silence_is_an_error_in_time() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let error = Qmp::connect(ours, Shutdown::default(), async {})
        .await
        .unwrap_err();
    assert_eq!(
        error,
        ControlError::Silent {
            command: "qmp_capabilities"
        }
    );
}

#[tokio::test]
async fn a_caller_that_gives_up_disturbs_nobody() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let late = format!("{{\"event\": \"{}\"}}\r\n{}", "X".repeat(1000), yes());
    let peer = tokio::spawn(hypervisor(
        theirs,
        vec![("qmp_capabilities", yes()), ("stop", late), ("cont", yes())],
    ));
    let qmp = Qmp::connect(ours, Shutdown::default(), async {})
        .await
        .unwrap();
    let _ = timeout(Duration::ZERO, qmp.command("stop")).await;
    // Whether `stop` was still sent or not, `cont` gets its own answer.
    let mut peer = peer;
    tokio::select! {
        answer = qmp.command("cont") => { answer.unwrap(); }
        done = &mut peer => { drop(done.unwrap()); }
    }
}
