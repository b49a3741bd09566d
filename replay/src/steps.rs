//! How much work an event makes, counted where tests ask for it.
//!
//! Owns: the counter. Must not: be anything outside tests. A step is a look at a
//! node of a condition, at a process, or at a byte that is searched or compared:
//! unlike time it is the same on every machine.

#[cfg(test)]
thread_local! {
    static TAKEN: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// So many steps were taken.
#[inline]
pub(crate) fn took(_steps: usize) {
    #[cfg(test)]
    TAKEN.set(TAKEN.get().saturating_add(_steps as u64));
}

/// The steps since the last question.
#[cfg(test)]
pub(crate) fn taken() -> u64 {
    TAKEN.replace(0)
}
