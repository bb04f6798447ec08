//! The objects of one kind, and what complete lists say about them.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::mem;

/// Up to so many objects a complete list may lack without being doubted.
const FEW: usize = 20;

/// The objects of one kind by their keys.
///
/// Lists are mark and sweep: an object is marked with the number of the list
/// that it was last seen in, and the end of a list sweeps those with an older one.
#[derive(Debug)]
pub(super) struct Store<K, V> {
    objects: BTreeMap<K, Entry<V>>,
    /// The number of the list that is going on or was the last.
    list: u32,
    /// Whether that list may take away what an earlier one lacked, too.
    confirms: bool,
    /// Whether any list was complete.
    listed: bool,
}

#[derive(Debug)]
struct Entry<V> {
    /// Not in the tree itself: its nodes have room for twice as many entries as they hold.
    value: Box<V>,
    /// The list that it was last seen in, or that was the last when an event told of it.
    seen: u32,
    /// A complete list lacked it, and was not believed.
    suspect: bool,
}

/// What `apply` did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Applied<V> {
    /// The object was known and said the same.
    Same,
    /// The object is new.
    New,
    /// The object said this before.
    Changed(V),
}

impl<K, V> Default for Store<K, V> {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), list: 0, confirms: false, listed: false }
    }
}

impl<K: Ord + Clone, V: PartialEq> Store<K, V> {
    pub(super) fn apply(&mut self, key: K, value: V) -> Applied<V> {
        let list = self.list;
        let Some(entry) = self.objects.get_mut(&key) else {
            self.objects.insert(key, Entry { value: Box::new(value), seen: list, suspect: false });
            return Applied::New;
        };
        entry.mark(list);
        if *entry.value == value {
            return Applied::Same;
        }
        Applied::Changed(mem::replace(&mut *entry.value, value))
    }

    /// The object exists, whatever it says.
    pub(super) fn mark<Q: Ord + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        if let Some(entry) = self.objects.get_mut(key) {
            entry.mark(self.list);
        }
    }

    pub(super) fn delete<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.objects.remove(key).map(|entry| *entry.value)
    }

    pub(super) fn listing(&mut self, confirms: bool) {
        self.list = self.list.wrapping_add(1);
        self.confirms = confirms;
    }

    /// Ends a list: takes out and returns what is gone. What the list lacked
    /// and is kept all the same is counted by [`Store::held`].
    ///
    /// `is_too_much`: whether a list that lacks these is to be doubted, however few they are.
    pub(super) fn listed(&mut self, is_too_much: impl FnOnce(&[&K]) -> bool) -> Vec<(K, V)> {
        self.listed = true;
        let list = self.list;
        let mut gone = Vec::new();
        if self.confirms {
            gone = self.remove(|entry| entry.seen != list && entry.suspect);
        }
        let lacking: Vec<&K> =
            self.objects.iter().filter(|(_, entry)| entry.seen != list).map(|(key, _)| key).collect();
        if is_most(lacking.len(), self.objects.len()) || is_too_much(&lacking) {
            for entry in self.objects.values_mut().filter(|entry| entry.seen != list) {
                entry.suspect = true;
            }
        } else {
            // A suspect goes only by a list that confirms.
            gone.extend(self.remove(|entry| entry.seen != list && !entry.suspect));
        }
        gone
    }

    fn remove(&mut self, which: impl Fn(&Entry<V>) -> bool) -> Vec<(K, V)> {
        let keys: Vec<K> = self.objects.iter().filter(|(_, entry)| which(entry)).map(|(key, _)| key.clone()).collect();
        keys.into_iter()
            .filter_map(|key| self.objects.remove_entry(&key))
            .map(|(key, entry)| (key, *entry.value))
            .collect()
    }
}

impl<K: Ord, V> Store<K, V> {
    /// Whether a list was complete once.
    pub(super) fn is_listed(&self) -> bool {
        self.listed
    }

    /// How many objects are kept although a complete list lacked them.
    pub(super) fn held(&self) -> usize {
        self.objects.values().filter(|entry| entry.suspect).count()
    }

    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }

    pub(super) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.objects.get(key).map(|entry| &*entry.value)
    }

    pub(super) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.objects.get_mut(key).map(|entry| &mut *entry.value)
    }

    /// From `first` on, in the order of keys.
    pub(super) fn from<'a>(&'a self, first: &K) -> impl Iterator<Item = (&'a K, &'a V)> + use<'a, K, V> {
        self.objects.range(first..).map(|(key, entry)| (key, &*entry.value))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.objects.iter().map(|(key, entry)| (key, &*entry.value))
    }
}

/// Whether so many of `all` are more than a list may take away without being doubted.
pub(super) fn is_most(lacking: usize, all: usize) -> bool {
    lacking > FEW && lacking > all / 2
}

impl<V> Entry<V> {
    fn mark(&mut self, list: u32) {
        self.seen = list;
        self.suspect = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store that has listed `0..count`.
    fn store(count: u32) -> Store<u32, ()> {
        let mut store = Store::default();
        check_list(&mut store, 0..count, false, &[]);
        store
    }

    /// Lists `seen`; exactly `gone` goes.
    fn check_list(store: &mut Store<u32, ()>, seen: impl IntoIterator<Item = u32>, confirms: bool, gone: &[u32]) {
        store.listing(confirms);
        for key in seen {
            store.apply(key, ());
        }
        let swept: Vec<u32> = store.listed(|_| false).into_iter().map(|(key, ())| key).collect();
        assert_eq!(swept, gone);
    }

    #[test]
    fn what_a_complete_list_lacks_is_gone() {
        let mut store = store(3);

        check_list(&mut store, [0, 2], false, &[1]);
        check_list(&mut store, [], false, &[0, 2]);
    }

    #[test]
    fn before_the_end_of_a_list_nothing_goes() {
        let mut store = store(3);

        store.listing(false);
        store.listing(false);
        store.mark(&1);
        assert_eq!(store.len(), 3);
        assert_eq!(store.listed(|_| false), [(0, ()), (2, ())]);
    }

    #[test]
    fn what_is_applied_by_an_event_while_a_list_goes_on_has_been_seen() {
        let mut store = store(0);

        store.listing(false);
        store.apply(7, ());
        assert_eq!(store.listed(|_| false), []);
    }

    #[test]
    fn twenty_or_half_may_go_without_doubt() {
        check_list(&mut store(20), [], false, &(0..20).collect::<Vec<_>>());
        check_list(&mut store(100), 50..100, false, &(0..50).collect::<Vec<_>>());
    }

    #[test]
    fn more_than_twenty_and_more_than_half_are_held_until_a_second_list_lacks_them() {
        let mut store = store(21);

        check_list(&mut store, [], false, &[]);
        assert_eq!(store.held(), 21);
        check_list(&mut store, [], true, &(0..21).collect::<Vec<_>>());
        assert_eq!(store.held(), 0);
    }

    #[test]
    fn only_a_list_that_was_asked_for_confirms() {
        let mut store = store(21);

        check_list(&mut store, [], false, &[]);
        check_list(&mut store, [], false, &[]);
        assert_eq!(store.held(), 21);
    }

    #[test]
    fn a_list_that_sees_some_suspects_again_takes_none_of_the_others() {
        let mut store = store(100);

        check_list(&mut store, 0..40, false, &[]);
        assert_eq!(store.held(), 60);
        check_list(&mut store, 1..60, false, &[0]);
        assert_eq!((store.len(), store.held()), (99, 40));
        check_list(&mut store, 1..60, true, &(60..100).collect::<Vec<_>>());
        assert_eq!(store.held(), 0);
    }

    #[test]
    fn a_suspect_that_is_seen_again_is_cleared() {
        let mut store = store(100);

        check_list(&mut store, 0..10, false, &[]);
        store.apply(10, ());
        assert_eq!(store.held(), 89);
        check_list(&mut store, 0..60, true, &(60..100).collect::<Vec<_>>());
        assert_eq!((store.len(), store.held()), (60, 0));
    }

    #[test]
    fn a_list_that_confirms_is_itself_doubted_about_the_rest() {
        let mut store = store(200);

        check_list(&mut store, 0..90, false, &[]);
        check_list(&mut store, 0..40, true, &(90..200).collect::<Vec<_>>());
        assert_eq!((store.len(), store.held()), (90, 50));
    }

    #[test]
    fn a_deletion_is_never_held() {
        let mut store = store(100);

        check_list(&mut store, [], false, &[]);
        assert_eq!(store.delete(&3), Some(()));
        assert_eq!((store.len(), store.held()), (99, 99));
    }
}
