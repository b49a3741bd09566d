//! Files in the order of their paths, brought up to date when somebody asks.
//!
//! Owns: [`Order`]. Must not: be kept in order at every event; most events are
//! folded without anybody looking.

use std::sync::{Arc, Mutex, PoisonError};

/// Numbers of rows, sorted by what they stand for. Clones share it.
#[derive(Debug, Default)]
pub(super) struct Order(Mutex<Arc<Vec<u32>>>);

impl Clone for Order {
    fn clone(&self) -> Self {
        Self(Mutex::new(self.known()))
    }
}

impl Order {
    fn known(&self) -> Arc<Vec<u32>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&known)
    }

    /// The numbers below `rows`, sorted by `key`, which never changes for a number.
    /// What came since the last time is sorted in.
    pub(super) fn of<K: Ord>(&self, rows: u32, key: impl Fn(u32) -> K) -> Arc<Vec<u32>> {
        let old = self.known();
        let mut new: Vec<u32> = (0..rows).skip(old.len()).collect();
        if new.is_empty() {
            return old;
        }
        new.sort_by_key(|row| key(*row));
        let mut merged = Vec::with_capacity(old.len().saturating_add(new.len()));
        let mut left = old.as_slice();
        for row in new {
            let before = left.partition_point(|known| key(*known) < key(row));
            let (head, tail) = left.split_at(before);
            merged.extend_from_slice(head);
            merged.push(row);
            left = tail;
        }
        merged.extend_from_slice(left);
        let merged = Arc::new(merged);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Arc::clone(&merged);
        merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_later_is_sorted_in() {
        let names = ["d", "b", "f", "a", "e", "c", "g"];
        let order = Order::default();
        for rows in [0, 2, 3, 3, 7] {
            let copy = order.clone();
            let sorted = |order: &Order| -> Vec<&str> {
                let sorted = order.of(rows, |row| names[row as usize]);
                sorted.iter().map(|row| names[*row as usize]).collect()
            };
            let mut expected = names[..rows as usize].to_vec();
            expected.sort_unstable();
            assert_eq!(sorted(&order), expected);
            assert_eq!(sorted(&copy), expected);
        }
    }
}
