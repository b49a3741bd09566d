use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;

/// A host's end whose state the test sets.
struct Host {
    bytes: DuplexStream,
    shut: bool,
}

impl Shut for Host {
    fn is_shut(&self) -> bool {
        self.shut
    }
}

impl AsyncRead for Host {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_read(cx, buf)
    }
}

impl AsyncWrite for Host {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.bytes).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_shutdown(cx)
    }
}

/// What a payload reads whose peer sent `hi` and then ended so.
fn ended(shut: bool, said_all: bool) -> (Vec<u8>, io::Result<usize>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        let (bytes, mut far) = duplex(64);
        far.write_all(b"hi").await.unwrap();
        drop(far);
        let stream = Host { bytes, shut };
        let mut flow = Flow {
            stream,
            said_all: false,
        };
        if said_all {
            flow.shutdown().await.unwrap();
        }
        let mut first = vec![0; 2];
        flow.read_exact(&mut first).await.unwrap();
        (first, flow.read(&mut [0; 8]).await)
    })
}

#[test]
fn only_a_broken_off_stream_is_a_reset_and_its_bytes_come_first() {
    for (shut, said_all, orderly) in [
        (false, false, true),
        (false, true, true),
        (true, true, true),
        (true, false, false),
    ] {
        let (first, end) = ended(shut, said_all);
        assert_eq!(first, b"hi");
        let reset = end.map_err(|e| e.kind() == io::ErrorKind::ConnectionReset);
        let expected = if orderly { Ok(0) } else { Err(true) };
        assert_eq!(reset, expected, "shut {shut}, said all {said_all}");
    }
}
