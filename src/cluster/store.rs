//! The objects of one kind, and what complete lists say about them.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use super::ServiceKey;

/// Up to so many objects a complete list may lack without being doubted.
const FEW: usize = 20;

/// The objects of one kind by their keys.
///
/// Lists are mark and sweep: the beginning of a list takes all marks away, an
/// object that is seen is marked, and the end sweeps those without. A list is of
/// the whole cluster (`None`) or of one namespace, and says nothing of others.
#[derive(Debug)]
pub(super) struct Store<K, V> {
    objects: BTreeMap<K, Entry<V>>,
    lists: BTreeMap<Option<Arc<str>>, List>,
}

/// What is known of the lists of one namespace, or of the whole cluster.
#[derive(Debug, Default)]
struct List {
    /// Whether the one that is going on, or was the last, may take away what an earlier one lacked, too.
    confirms: bool,
    /// Whether any was complete.
    was_complete: bool,
}

/// Where an object is: keys of one namespace lie together.
pub(super) trait Namespaced: Ord + Sized {
    fn namespace(&self) -> &str;

    /// In front of all in `namespace`.
    fn before_all_in(namespace: &Arc<str>) -> Self;
}

impl Namespaced for ServiceKey {
    fn namespace(&self) -> &str {
        &self.namespace
    }

    fn before_all_in(namespace: &Arc<str>) -> Self {
        Self::before_all_in(namespace)
    }
}

/// The namespace and the name of an object.
impl Namespaced for (Arc<str>, Arc<str>) {
    fn namespace(&self) -> &str {
        &self.0
    }

    fn before_all_in(namespace: &Arc<str>) -> Self {
        (Arc::clone(namespace), "".into())
    }
}

/// A Namespace is the only one in itself.
impl Namespaced for Arc<str> {
    fn namespace(&self) -> &str {
        self
    }

    fn before_all_in(namespace: &Arc<str>) -> Self {
        Arc::clone(namespace)
    }
}

#[derive(Debug)]
struct Entry<V> {
    /// Not in the tree itself: its nodes have room for twice as many entries as they hold.
    value: Box<V>,
    /// Whether the list that is going on, or was the last, has seen it, or an event told of it since that began.
    seen: bool,
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
        Self { objects: BTreeMap::new(), lists: BTreeMap::new() }
    }
}

impl<K: Ord + Clone, V: PartialEq> Store<K, V> {
    pub(super) fn apply(&mut self, key: K, value: V) -> Applied<V> {
        let Some(entry) = self.objects.get_mut(&key) else {
            self.objects.insert(key, Entry { value: Box::new(value), seen: true, suspect: false });
            return Applied::New;
        };
        entry.mark();
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
            entry.mark();
        }
    }

    pub(super) fn delete<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.objects.remove(key).map(|entry| *entry.value)
    }
}

impl<K: Namespaced + Clone, V> Store<K, V> {
    pub(super) fn listing(&mut self, namespace: Option<&Arc<str>>, confirms: bool) {
        self.lists.entry(namespace.cloned()).or_default().confirms = confirms;
        for (_, entry) in self.within_mut(namespace) {
            entry.seen = false;
        }
    }

    /// Ends a list: takes out and returns what is gone. What the list lacked
    /// and is kept all the same is counted by [`Store::held`].
    ///
    /// `is_too_much`: whether a list that lacks these is to be doubted, however few they are.
    pub(super) fn listed(
        &mut self,
        namespace: Option<&Arc<str>>,
        is_too_much: impl FnOnce(&[&K]) -> bool,
    ) -> Vec<(K, V)> {
        let list = self.lists.entry(namespace.cloned()).or_default();
        list.was_complete = true;
        let mut gone = Vec::new();
        if list.confirms {
            gone = self.remove(namespace, |entry| !entry.seen && entry.suspect);
        }
        let all = self.within(namespace).count();
        let lacking: Vec<&K> = self.within(namespace).filter(|(_, entry)| !entry.seen).map(|(key, _)| key).collect();
        if is_most(lacking.len(), all) || is_too_much(&lacking) {
            for (_, entry) in self.within_mut(namespace).filter(|(_, entry)| !entry.seen) {
                entry.suspect = true;
            }
        } else {
            // A suspect goes only by a list that confirms.
            gone.extend(self.remove(namespace, |entry| !entry.seen && !entry.suspect));
        }
        gone
    }

    fn remove(&mut self, namespace: Option<&Arc<str>>, which: impl Fn(&Entry<V>) -> bool) -> Vec<(K, V)> {
        let keys: Vec<K> =
            self.within(namespace).filter(|(_, entry)| which(entry)).map(|(key, _)| key.clone()).collect();
        keys.into_iter()
            .filter_map(|key| self.objects.remove_entry(&key))
            .map(|(key, entry)| (key, *entry.value))
            .collect()
    }

    /// How many objects are kept although a complete list lacked them.
    pub(super) fn held(&self, namespace: Option<&Arc<str>>) -> usize {
        self.within(namespace).filter(|(_, entry)| entry.suspect).count()
    }

    fn within(&self, namespace: Option<&Arc<str>>) -> impl Iterator<Item = (&K, &Entry<V>)> {
        let entries = match namespace {
            Some(namespace) => self.objects.range(K::before_all_in(namespace)..),
            None => self.objects.range(..),
        };
        entries.take_while(move |(key, _)| namespace.is_none_or(|namespace| key.namespace() == &**namespace))
    }

    fn within_mut(&mut self, namespace: Option<&Arc<str>>) -> impl Iterator<Item = (&K, &mut Entry<V>)> {
        let entries = match namespace {
            Some(namespace) => self.objects.range_mut(K::before_all_in(namespace)..),
            None => self.objects.range_mut(..),
        };
        entries.take_while(move |(key, _)| namespace.is_none_or(|namespace| key.namespace() == &**namespace))
    }
}

impl<K: Ord, V> Store<K, V> {
    /// Whether a list was complete once.
    pub(super) fn is_listed(&self, namespace: Option<&Arc<str>>) -> bool {
        self.lists.get(&namespace.cloned()).is_some_and(|list| list.was_complete)
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
    fn mark(&mut self) {
        self.seen = true;
        self.suspect = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number is an object of the whole cluster.
    impl Namespaced for u32 {
        fn namespace(&self) -> &str {
            ""
        }

        fn before_all_in(_: &Arc<str>) -> Self {
            0
        }
    }

    /// A store that has listed `0..count`.
    fn store(count: u32) -> Store<u32, ()> {
        let mut store = Store::default();
        check_list(&mut store, 0..count, false, &[]);
        store
    }

    /// Lists `seen`; exactly `gone` goes.
    fn check_list(store: &mut Store<u32, ()>, seen: impl IntoIterator<Item = u32>, confirms: bool, gone: &[u32]) {
        store.listing(None, confirms);
        for key in seen {
            store.apply(key, ());
        }
        let swept: Vec<u32> = store.listed(None, |_| false).into_iter().map(|(key, ())| key).collect();
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

        store.listing(None, false);
        store.listing(None, false);
        store.mark(&1);
        assert_eq!(store.len(), 3);
        assert_eq!(store.listed(None, |_| false), [(0, ()), (2, ())]);
    }

    #[test]
    fn what_is_applied_by_an_event_while_a_list_goes_on_has_been_seen() {
        let mut store = store(0);

        store.listing(None, false);
        store.apply(7, ());
        assert_eq!(store.listed(None, |_| false), []);
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
        assert_eq!(store.held(None), 21);
        check_list(&mut store, [], true, &(0..21).collect::<Vec<_>>());
        assert_eq!(store.held(None), 0);
    }

    #[test]
    fn only_a_list_that_was_asked_for_confirms() {
        let mut store = store(21);

        check_list(&mut store, [], false, &[]);
        check_list(&mut store, [], false, &[]);
        assert_eq!(store.held(None), 21);
    }

    #[test]
    fn a_list_that_sees_some_suspects_again_takes_none_of_the_others() {
        let mut store = store(100);

        check_list(&mut store, 0..40, false, &[]);
        assert_eq!(store.held(None), 60);
        check_list(&mut store, 1..60, false, &[0]);
        assert_eq!((store.len(), store.held(None)), (99, 40));
        check_list(&mut store, 1..60, true, &(60..100).collect::<Vec<_>>());
        assert_eq!(store.held(None), 0);
    }

    #[test]
    fn a_suspect_that_is_seen_again_is_cleared() {
        let mut store = store(100);

        check_list(&mut store, 0..10, false, &[]);
        store.apply(10, ());
        assert_eq!(store.held(None), 89);
        check_list(&mut store, 0..60, true, &(60..100).collect::<Vec<_>>());
        assert_eq!((store.len(), store.held(None)), (60, 0));
    }

    #[test]
    fn a_list_that_confirms_is_itself_doubted_about_the_rest() {
        let mut store = store(200);

        check_list(&mut store, 0..90, false, &[]);
        check_list(&mut store, 0..40, true, &(90..200).collect::<Vec<_>>());
        assert_eq!((store.len(), store.held(None)), (90, 50));
    }

    /// How many objects a list of the namespace takes away and leaves in doubt, if it sees only the first `seen`.
    fn check_namespace(store: &mut Store<ServiceKey, ()>, namespace: &str, seen: u32, gone: usize, held: usize) {
        let namespace = namespace.into();
        store.listing(Some(&namespace), false);
        for number in 0..seen {
            store.mark(&ServiceKey { namespace: namespace.clone(), name: number.to_string().into() });
        }
        assert_eq!(store.listed(Some(&namespace), |_| false).len(), gone, "{namespace}");
        assert_eq!(store.held(Some(&namespace)), held, "{namespace}");
    }

    #[test]
    fn a_list_of_a_namespace_says_nothing_of_others() {
        let mut store = Store::default();
        for (namespace, count) in [("shop", 21), ("shop-2", 21), ("depot", 3)] {
            for number in 0..count {
                store.apply(ServiceKey { namespace: namespace.into(), name: number.to_string().into() }, ());
            }
        }

        check_namespace(&mut store, "depot", 1, 2, 0);
        assert!(store.is_listed(Some(&"depot".into())));
        assert!(!store.is_listed(Some(&"shop".into())) && !store.is_listed(None));
        // Most of it, though not of what the cluster has.
        check_namespace(&mut store, "shop", 0, 0, 21);
        check_namespace(&mut store, "shop-2", 11, 10, 0);
        check_namespace(&mut store, "nowhere", 0, 0, 0);
        assert_eq!((store.len(), store.held(None)), (33, 21));
        // What confirms is a list of the same namespace.
        store.listing(Some(&"depot".into()), true);
        check_namespace(&mut store, "shop", 0, 0, 21);
        store.listing(Some(&"shop".into()), true);
        assert_eq!(store.listed(Some(&"shop".into()), |_| false).len(), 21);
        assert_eq!(store.len(), 12);
    }

    #[test]
    fn a_deletion_is_never_held() {
        let mut store = store(100);

        check_list(&mut store, [], false, &[]);
        assert_eq!(store.delete(&3), Some(()));
        assert_eq!((store.len(), store.held(None)), (99, 99));
    }
}
