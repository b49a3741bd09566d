//! Frames on a stream: a little-endian length and that many bytes, which are
//! [`belljar_event::encode`]'s.

use std::io;

use belljar_event::CodecError;
use belljar_event::wire::MAX_FRAME;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Writes an encoded message as one frame.
pub(crate) async fn write<W: AsyncWrite + Unpin>(
    stream: &mut W,
    body: Result<Vec<u8>, CodecError>,
) -> io::Result<()> {
    let body = body.map_err(io::Error::other)?;
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    if body.len() > MAX_FRAME {
        return Err(io::Error::other(format!(
            "a message of {length} bytes is too long"
        )));
    }
    // In one piece: the multiplexer would make a packet of the length alone.
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend(body);
    stream.write_all(&bytes).await?;
    stream.flush().await
}

/// Reads one frame; `None` at the end of the stream.
pub(crate) async fn read<R: AsyncRead + Unpin>(stream: &mut R) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    if stream.read(&mut length[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[1..]).await?;
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_FRAME {
        return Err(io::Error::other(format!("a frame claims {length} bytes")));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Some(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(work)
    }

    #[test]
    fn frames_come_back() {
        block(async {
            let mut bytes = Vec::new();
            write(&mut bytes, Ok(vec![1, 2, 3])).await.unwrap();
            write(&mut bytes, Ok(vec![])).await.unwrap();
            let mut from = bytes.as_slice();
            assert_eq!(read(&mut from).await.unwrap(), Some(vec![1, 2, 3]));
            assert_eq!(read(&mut from).await.unwrap(), Some(vec![]));
            assert_eq!(read(&mut from).await.unwrap(), None);
        });
    }

    #[test]
    fn absurd_and_cut_frames_are_errors() {
        block(async {
            assert!(read(&mut [255, 255, 255, 255, 0].as_slice()).await.is_err());
            assert!(read(&mut [3, 0, 0, 0, 1].as_slice()).await.is_err());
            assert!(read(&mut [3, 0].as_slice()).await.is_err());
            assert!(
                write(&mut Vec::new(), Ok(vec![0; MAX_FRAME + 1]))
                    .await
                    .is_err()
            );
        });
    }
}
