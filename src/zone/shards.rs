//! The nodes of a zone: many small hash tables, copied when they are written.
//!
//! A version of a zone shares every table that its change did not touch with
//! the version before. A lookup passes two arrays of pointers on its way to a
//! table; a change copies one array of each kind, and a table of some tens of
//! nodes.
//!
//! Which table a node is in depends on its *group*, an ancestor of a fixed
//! depth (the node itself where it is not that deep). A group lies in one
//! table, so that what is below a name of that depth is found, and replaced,
//! without a look at the rest of the zone.

use std::mem;
use std::sync::Arc;

use hashbrown::HashTable;

use super::name::{self, HashedName, Suffix};
use super::node::Node;

/// Tables per array and arrays: 64 × 64 tables keep a zone of 300,000 names at some 75 to a table.
const FAN: usize = 64;

type Table = HashTable<Arc<Node>>;
type Shelf = [Arc<Table>; FAN];

/// The nodes of a zone by owner name.
#[derive(Clone)]
pub(super) struct Shards {
    shelves: Arc<[Arc<Shelf>; FAN]>,
    /// How many labels the owner of a whole group has.
    grain: u8,
    /// How much memory the nodes take, in octets.
    octets: usize,
}

/// A group: the hash of the name that it is at and below, or that is alone in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Group(u64);

/// Where the table of a group is.
///
/// hashbrown picks buckets by a hash's lowest bits and tells apart what shares
/// a bucket by its top seven. These are others, or every node of a table would
/// look alike to it.
fn place(Group(hash): Group) -> (usize, usize) {
    let bits = usize::try_from((hash >> 40) & 0xfff).expect("twelve bits");
    (bits / FAN, bits % FAN)
}

impl Shards {
    /// No nodes; what is at or below a name of `grain` labels will lie together.
    pub(super) fn new(grain: u8) -> Self {
        let table = Arc::new(Table::new());
        let shelf = Arc::new(std::array::from_fn(|_| Arc::clone(&table)));
        Self { shelves: Arc::new(std::array::from_fn(|_| Arc::clone(&shelf))), grain, octets: 0 }
    }

    /// The node whose owner is the suffix of `name` of `labels` labels.
    pub(super) fn get(&self, name: &HashedName, labels: u8) -> Option<&Node> {
        let owner = name.suffix(labels);
        let (shelf, table) = place(self.group(name, labels));
        self.shelves[shelf][table].find(owner.hash, |node| node.is_at(owner)).map(|node| &**node)
    }

    /// The node of `group` with the owner of `node`.
    pub(super) fn like(&self, group: Group, node: &Node) -> Option<&Node> {
        let (shelf, table) = place(group);
        self.shelves[shelf][table].find(node.hash, |found| found.is_at(node.suffix())).map(|node| &**node)
    }

    /// The wildcard directly below the suffix of `name` of `labels` labels.
    pub(super) fn wildcard_below(&self, name: &HashedName, labels: u8) -> Option<&Node> {
        let encloser = name.suffix(labels);
        let hash = encloser.wildcard_hash();
        let group = if labels < self.grain { Group(hash) } else { self.group(name, labels) };
        let (shelf, table) = place(group);
        let is_wildcard = |node: &Arc<Node>| node.owner().strip_prefix(b"\x01*") == Some(encloser.wire);
        self.shelves[shelf][table].find(hash, is_wildcard).map(|node| &**node)
    }

    /// The group of the suffix of `name` of `labels` labels.
    pub(super) fn group(&self, name: &HashedName, labels: u8) -> Group {
        Group(name.suffix(labels.min(self.grain)).hash)
    }

    /// The group of a node at or below `root`.
    pub(super) fn group_within(&self, root: &HashedName, node: &Node) -> Group {
        if root.labels() >= self.grain {
            return self.group(root, self.grain);
        }
        let name = node.name();
        self.group(&name, name.labels())
    }

    /// The group of a node of so many labels; `last` is that of the one before it in canonical order.
    pub(super) fn group_after(&self, last: Group, node: &Node, labels: u8) -> Group {
        if labels <= self.grain { Group(node.hash) } else { last }
    }

    /// Puts `node`, of `group`, in the place of the one with its owner.
    pub(super) fn insert(&mut self, group: Group, node: Node) {
        let (table, octets) = (self.table_mut(group), node.octets());
        let before = match table.entry(node.hash, |other| other.is_at(node.suffix()), |node| node.hash) {
            hashbrown::hash_table::Entry::Occupied(mut entry) => mem::replace(entry.get_mut(), Arc::new(node)).octets(),
            hashbrown::hash_table::Entry::Vacant(entry) => {
                entry.insert(Arc::new(node));
                0
            }
        };
        self.octets = self.octets + octets - before;
    }

    /// Takes out the node of `group` at `owner`.
    pub(super) fn remove(&mut self, group: Group, owner: Suffix<'_>) {
        if let Ok(entry) = self.table_mut(group).find_entry(owner.hash, |node| node.is_at(owner)) {
            let (node, _) = entry.remove();
            self.octets -= node.octets();
        }
    }

    /// Changes the node whose owner is the suffix of `name` of `labels` labels, if there is one; not its size.
    pub(super) fn update(&mut self, name: &HashedName, labels: u8, change: impl FnOnce(&mut Node)) {
        let owner = name.suffix(labels);
        let table = self.table_mut(self.group(name, labels));
        if let Some(node) = table.find_mut(owner.hash, |node| node.is_at(owner)) {
            change(Arc::make_mut(node));
        }
    }

    /// Every node at or below `root`, in no order.
    pub(super) fn within(&self, root: &HashedName) -> Vec<Arc<Node>> {
        let is_within = |node: &&Arc<Node>| name::is_within(node.owner(), root.wire());
        if root.labels() < self.grain {
            return self.iter().filter(is_within).cloned().collect();
        }
        let (shelf, table) = place(self.group(root, root.labels()));
        self.shelves[shelf][table].iter().filter(is_within).cloned().collect()
    }

    /// Whether both have the same names, and these say the same; the groups of both are of the same depth.
    pub(super) fn say_the_same(&self, others: &Self) -> bool {
        self.tables().zip(others.tables()).all(|(table, other)| {
            let is_there = |node: &Arc<Node>| {
                let found = other.find(node.hash, |found| found.owner() == node.owner());
                found.is_some_and(|found| found.says_the_same(node))
            };
            Arc::ptr_eq(table, other) || (table.len() == other.len() && table.iter().all(is_there))
        })
    }

    /// How much memory they take, in octets: the nodes, and the arrays that lead to their tables.
    pub(super) fn octets(&self) -> usize {
        self.octets + size_of::<[Arc<Shelf>; FAN]>() + FAN * size_of::<Shelf>() + FAN * FAN * size_of::<Table>()
    }

    fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.shelves.iter().flat_map(|shelf| shelf.iter())
    }

    /// Every node, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.tables().flat_map(|table| table.iter())
    }

    /// Lets tables have no more room than their nodes take.
    pub(super) fn shrink(&mut self) {
        for shelf in Arc::make_mut(&mut self.shelves) {
            if shelf.iter().all(|table| table.is_empty()) {
                continue;
            }
            for table in Arc::make_mut(shelf) {
                if table.len() < table.capacity() {
                    Arc::make_mut(table).shrink_to_fit(|node| node.hash);
                }
            }
        }
    }

    fn table_mut(&mut self, group: Group) -> &mut Table {
        let (shelf, table) = place(group);
        Arc::make_mut(&mut Arc::make_mut(&mut Arc::make_mut(&mut self.shelves)[shelf])[table])
    }
}
