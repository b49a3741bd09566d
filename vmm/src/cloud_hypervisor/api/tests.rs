use std::os::unix::net::UnixListener as StdListener;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use super::*;
use crate::cloud_hypervisor::folder;
use crate::control::Shutdown;

/// An API whose other end answers each request with `answer` and then closes.
fn against(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Api {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("api.sock");
    let listener = StdListener::bind(&path).unwrap();
    let place = folder::place(&path).unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = UnixListener::from_std(listener).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let count = stream.read(&mut request).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..count]).into_owned();
            let _ = stream.write_all(&answer(&request)).await;
        }
    });
    let events = Events::read(tokio::io::empty(), Shutdown::default(), || (), async {});
    Api::new(place, events)
}

fn http(status: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nServer: x\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[tokio::test]
async fn commands_are_put_and_refusals_say_why() {
    let api = against(|request| {
        if request.starts_with("PUT /api/v1/vm.pause ") {
            b"HTTP/1.1 204 \r\nServer: x\r\n\r\n".to_vec()
        } else {
            http(
                "500 Internal Server Error",
                "[\"Error from API\",\"The VM could not resume\",\"\\u001b[31mred\"]",
            )
        }
    });
    assert_eq!(api.pause().await, Ok(()));
    let refused = api.resume().await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "hypervisor refused `vm.resume`: Error from API: The VM could not resume: \\u{1b}[31mred"
    );
}

#[tokio::test]
async fn the_state_is_read_and_nonsense_is_refused() {
    let answer = |state: &str| {
        let config = "{\"payload\":{\"kernel\":\"k\"}}";
        http(
            "200 OK",
            &format!("{{\"config\":{config},\"state\":\"{state}\"}}"),
        )
    };
    assert_eq!(
        against(move |_| answer("Running")).running().await,
        Ok(true)
    );
    assert_eq!(
        against(move |_| answer("Paused")).running().await,
        Ok(false)
    );
    let odd = against(move |_| answer("Odd")).running().await;
    assert!(matches!(odd, Err(ControlError::Refused { .. })), "{odd:?}");
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let api = against(|_| {
        let mut answer = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".to_vec();
        answer.resize(MOST * 4, b' ');
        answer
    });
    assert_eq!(
        api.running().await,
        Err(ControlError::Gone { command: "vm.info" })
    );
}

#[tokio::test]
async fn nobody_there_is_gone() {
    let api = against(|_| Vec::new());
    assert_eq!(
        api.pause().await,
        Err(ControlError::Gone {
            command: "vm.pause"
        })
    );
}
