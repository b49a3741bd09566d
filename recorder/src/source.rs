//! Reading sections from a stream.
//!
//! Owns: the position, the buffer, and the order cap, read, hash.
//! Must not: look into a body.

use std::io::{self, BufReader, Read};

use crate::Fault;
use crate::format::{self, HEAD_LEN, Head};

/// How much of the index is read at a time.
const PIECE: usize = 1 << 16;

/// Why a section was not read.
#[derive(Debug)]
pub(crate) enum Stop {
    Fault(Fault),
    Io(io::Error),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A stream that knows how far it was read.
pub(crate) struct Source<R> {
    inner: BufReader<R>,
    position: u64,
}

impl<R: Read> Source<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self {
            inner: BufReader::with_capacity(PIECE, inner),
            position: 0,
        }
    }

    /// Bytes read so far.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Appends up to `length` bytes; fewer only at the end of the stream.
    /// Memory grows with what is really there, never with what is claimed.
    pub(crate) fn read(&mut self, length: usize, into: &mut Vec<u8>) -> io::Result<usize> {
        let read = (&mut self.inner).take(length as u64).read_to_end(into)?;
        self.position = self.position.saturating_add(read as u64);
        Ok(read)
    }

    /// Exactly `N` bytes; what there was, if the stream ends before.
    pub(crate) fn array<const N: usize>(&mut self) -> io::Result<Result<[u8; N], Vec<u8>>> {
        let mut bytes = Vec::with_capacity(N);
        self.read(N, &mut bytes)?;
        Ok(<[u8; N]>::try_from(bytes.as_slice()).map_err(|_| bytes))
    }

    /// The next section's head, its length not above what the section may have.
    pub(crate) fn head(&mut self) -> Result<Head, Stop> {
        let Ok(bytes) = self.array::<HEAD_LEN>()? else {
            return Err(Fault::NoFooter.into());
        };
        let head = Head::parse(&bytes).ok_or(Fault::UnknownSection)?;
        let (claimed, limit) = (u64::from(head.length), head.section.limit() as u64);
        if claimed > limit {
            return Err(Fault::Size {
                section: head.section,
                claimed,
                limit,
            }
            .into());
        }
        Ok(head)
    }

    /// The body of a section, replacing what is in `body`. Its hash is checked.
    pub(crate) fn body(
        &mut self,
        head: &Head,
        previous: &[u8; 32],
        body: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        body.clear();
        if self.read(head.length as usize, body)? < head.length as usize {
            return Err(Fault::EndsInside(head.section).into());
        }
        let hash = format::chain(previous, head.section, head.length)
            .update(body)
            .finalize();
        if hash != head.chain {
            return Err(Fault::Hash(head.section).into());
        }
        Ok(())
    }

    /// Reads over a body of any length in pieces. Its hash is checked; returns
    /// the plain blake3 of the body alone.
    pub(crate) fn digest_body(
        &mut self,
        head: &Head,
        previous: &[u8; 32],
    ) -> Result<blake3::Hash, Stop> {
        let mut chain = format::chain(previous, head.section, head.length);
        let mut digest = blake3::Hasher::new();
        let mut left = head.length as usize;
        let mut piece = Vec::new();
        while left > 0 {
            piece.clear();
            let read = self.read(left.min(PIECE), &mut piece)?;
            if read == 0 {
                return Err(Fault::EndsInside(head.section).into());
            }
            chain.update(&piece);
            digest.update(&piece);
            left = left.saturating_sub(read);
        }
        if chain.finalize() != head.chain {
            return Err(Fault::Hash(head.section).into());
        }
        Ok(digest.finalize())
    }

    /// True if nothing follows.
    pub(crate) fn is_at_end(&mut self) -> io::Result<bool> {
        let mut byte = Vec::new();
        Ok((&mut self.inner).take(1).read_to_end(&mut byte)? == 0)
    }
}
