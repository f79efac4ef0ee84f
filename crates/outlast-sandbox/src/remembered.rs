//! What the server remembers, within a limit.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// How many entries of a kind are remembered; the oldest is forgotten first.
const REMEMBERED_MAX: usize = 100_000;

/// A map that forgets its oldest entry beyond [`REMEMBERED_MAX`].
pub(crate) struct Remembered<K, V> {
    entries: HashMap<K, V>,
    by_age: VecDeque<K>,
}

impl<K: Clone + Eq + Hash, V> Remembered<K, V> {
    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.by_age.len() >= REMEMBERED_MAX
            && let Some(oldest) = self.by_age.pop_front()
        {
            self.entries.remove(&oldest);
        }
        self.by_age.push_back(key.clone());
        self.entries.insert(key, value);
    }

    pub(crate) fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.entries.get(key)
    }

    pub(crate) fn get_mut<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.entries.get_mut(key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter()
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.values_mut()
    }
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), by_age: VecDeque::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_beyond_the_limit() {
        let mut remembered = Remembered::default();
        for key in 0..=REMEMBERED_MAX {
            remembered.insert(key, ());
        }
        assert!(remembered.get_mut(&0).is_none() && remembered.get_mut(&1).is_some());
        assert_eq!(remembered.entries.len(), REMEMBERED_MAX);
    }
}
