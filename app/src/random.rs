//! Random bytes from the host's kernel.

use rustix::rand::{GetRandomFlags, getrandom};

use crate::error::AppError;

/// `N` random bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], AppError> {
    let mut bytes = [0; N];
    getrandom(&mut bytes, GetRandomFlags::empty())
        .map_err(|errno| AppError::io("read random bytes", errno.into()))?;
    Ok(bytes)
}

/// A stream of random bytes; fails up front, not in the middle.
pub(crate) fn stream() -> Result<impl FnMut() -> u8, AppError> {
    let mut pool: Vec<u8> = Vec::new();
    for _ in 0..64 {
        pool.extend(bytes::<256>()?);
    }
    let mut pool = pool.into_iter().cycle();
    Ok(move || pool.next().unwrap_or(0))
}
