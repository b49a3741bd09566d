//! How many events fell into which part of the time, in bounded memory.
//!
//! Owns: the histogram under the timeline. Must not: know a width in cells;
//! [`Density::bars`] resamples to any.

/// Buckets at most; when they do not reach, each becomes twice as long.
const BUCKETS: usize = 2048;
/// The first bucket's length: one millisecond.
const FINEST: u64 = 1_000_000;

/// Counts over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Density {
    start: Option<u64>,
    length: u64,
    most: usize,
    counts: Vec<u64>,
}

impl Default for Density {
    fn default() -> Self {
        Self {
            start: None,
            length: FINEST,
            most: BUCKETS,
            counts: Vec::new(),
        }
    }
}

impl Density {
    /// From a known start, in so many buckets at most.
    pub(super) fn with(start: u64, most: usize) -> Self {
        Self {
            start: Some(start),
            most: most.max(2),
            ..Self::default()
        }
    }

    /// Counts one event; what is earlier than the first counts as the first.
    pub(super) fn add(&mut self, time: u64) {
        self.weigh(time, 1);
    }

    /// Counts something that weighs so much.
    pub(super) fn weigh(&mut self, time: u64, weight: u64) {
        let start = *self.start.get_or_insert(time);
        let since = time.saturating_sub(start);
        while since / self.length >= self.most as u64 {
            self.halve();
        }
        // Below `most`, so it fits.
        let bucket = (since / self.length) as usize;
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(bucket) {
            *count = count.saturating_add(weight);
        }
    }

    fn halve(&mut self) {
        self.length = self.length.saturating_mul(2);
        self.counts = self
            .counts
            .chunks(2)
            .map(|pair| pair.iter().sum())
            .collect();
    }

    /// `cells` heights from 0 to 8 for the time from the first event to `end`.
    pub(super) fn bars(&self, end: u64, cells: usize) -> Vec<u8> {
        let Some(start) = self.start else {
            return vec![0; cells];
        };
        let total = u128::from(end.saturating_sub(start)) + 1;
        let mut sums = vec![0_u64; cells];
        for (bucket, count) in self.counts.iter().enumerate() {
            let middle = bucket as u128 * u128::from(self.length);
            if middle >= total {
                break; // behind the end
            }
            let cell = (middle * cells as u128 / total).min(cells.saturating_sub(1) as u128);
            if let Some(sum) = sums.get_mut(cell as usize) {
                *sum = sum.saturating_add(*count);
            }
        }
        let most = sums.iter().copied().max().unwrap_or(0);
        sums.into_iter().map(|sum| height(sum, most)).collect()
    }
}

/// Logarithmic: a burst of thousands must not flatten everything else.
fn height(count: u64, most: u64) -> u8 {
    if count == 0 {
        return 0;
    }
    let steps = |n: u64| u64::from((n + 1).ilog2()) * 8 + (((n + 1) * 8) >> (n + 1).ilog2()) - 8;
    let top = steps(most).max(1);
    u8::try_from((steps(count) * 8).div_ceil(top))
        .unwrap_or(8)
        .clamp(1, 8)
}
