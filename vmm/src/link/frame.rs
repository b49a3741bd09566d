//! Frames: a little-endian u32 length and that many bytes of an encoded value.
//!
//! Owns: the length cap, checked before anything is allocated. Must not: read
//! past a frame, since raw bytes may follow it.

use std::marker::PhantomData;

use belljar_event::wire::MAX_FRAME;
use belljar_event::{CodecError, Decode, Encode, decode, encode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Longer than any frame may be.
    #[error("frame of {length} bytes is longer than {MAX_FRAME}")]
    Long {
        /// What it claims.
        length: usize,
    },
    /// The stream ended inside a frame.
    #[error("stream ended inside a frame")]
    Cut,
    /// Its bytes are no such value.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The stream failed.
    #[error("stream failed: {0}")]
    Io(#[from] std::io::Error),
}

/// Reads one frame and nothing behind it; `None` at the end of the stream.
/// Not to be cancelled: see [`FrameReader`] for that.
///
/// # Errors
/// See [`FrameError`].
pub async fn read_frame<T: Decode<()>>(
    from: &mut (impl AsyncRead + Unpin),
) -> Result<Option<T>, FrameError> {
    FrameReader::new(from).next().await
}

/// Writes one frame and flushes it.
///
/// # Errors
/// See [`FrameError`].
pub async fn write_frame<T: Encode>(
    to: &mut (impl AsyncWrite + Unpin),
    value: &T,
) -> Result<(), FrameError> {
    let body = encode(value)?;
    let length = u32::try_from(body.len())
        .ok()
        .filter(|_| body.len() <= MAX_FRAME);
    let length = length.ok_or(FrameError::Long { length: body.len() })?;
    let mut frame = Vec::with_capacity(body.len() + 4);
    frame.extend(length.to_le_bytes());
    frame.extend(body);
    to.write_all(&frame).await?;
    to.flush().await?;
    Ok(())
}

/// Reads frames of one type. [`FrameReader::next`] may be cancelled (in a
/// `select!`): what was read so far is kept.
#[derive(Debug)]
pub struct FrameReader<T, R> {
    from: R,
    bytes: Vec<u8>,
    kind: PhantomData<fn() -> T>,
}

impl<T: Decode<()>, R: AsyncRead + Unpin> FrameReader<T, R> {
    /// Reads from here on.
    pub fn new(from: R) -> Self {
        Self {
            from,
            bytes: Vec::new(),
            kind: PhantomData,
        }
    }

    /// The next frame; `None` at the end of the stream.
    ///
    /// # Errors
    /// See [`FrameError`]. After an error there is no sense in reading on.
    pub async fn next(&mut self) -> Result<Option<T>, FrameError> {
        loop {
            let needed = match self.bytes.first_chunk::<4>() {
                None => 4,
                Some(head) => {
                    let length = usize::try_from(u32::from_le_bytes(*head)).unwrap_or(usize::MAX);
                    if length > MAX_FRAME {
                        return Err(FrameError::Long { length });
                    }
                    4 + length
                }
            };
            let missing = needed.saturating_sub(self.bytes.len());
            if missing == 0 && needed > 4 {
                let value = decode(self.bytes.get(4..).unwrap_or_default());
                self.bytes.clear();
                return Ok(Some(value?));
            }
            if missing == 0 {
                return Err(FrameError::Codec(CodecError::Decode(
                    "an empty frame".into(),
                )));
            }
            // Grows with what arrives, not with what is claimed.
            let mut limited = (&mut self.from).take(missing as u64);
            if limited.read_buf(&mut self.bytes).await? == 0 {
                return if self.bytes.is_empty() {
                    Ok(None)
                } else {
                    Err(FrameError::Cut)
                };
            }
        }
    }
}
