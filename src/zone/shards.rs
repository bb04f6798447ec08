//! The nodes of a zone: many small hash tables, copied when they are written.
//!
//! A version of a zone shares every table that its change did not touch with
//! the version before. A lookup passes three arrays of pointers on its way to a
//! table; a change copies one array of each kind, and a table of some dozen nodes.
//! What a copy costs is less its size than that each of its entries is counted
//! once more, in memory that no cache holds.
//!
//! The apex has another serial in every version, and would have a table copied
//! for it each time: its node stands beside the tables.
//!
//! Which table a node is in depends on its *group*, an ancestor of a fixed
//! depth (the node itself where it is not that deep). A group lies in one
//! table, so that what is below a name of that depth is found, and replaced,
//! without a look at the rest of the zone.

use std::sync::Arc;
use std::{array, iter, mem};

use hashbrown::HashTable;

use super::branches::{Nodes, Placed};
use super::name::{self, HashedName, Suffix};
use super::node::Node;

/// Entries of an array. The 16 × 16 × 16 tables of a zone of 100,000 names have two dozen nodes each; with more of them, what
/// leads to the tables of a zone of 10,000 would not stay in a core's cache.
const FAN: usize = 16;

type Table = HashTable<Node>;
type Shelf = [Arc<Table>; FAN];
type Rack = [Arc<Shelf>; FAN];

/// The nodes of a zone by owner name.
#[derive(Clone)]
pub(super) struct Shards {
    apex: Node,
    /// How many labels its owner has.
    top: u8,
    /// All other nodes.
    racks: [Arc<Rack>; FAN],
    grain: Grain,
    /// How much memory the nodes take, in octets.
    octets: usize,
}

/// How many labels the owner of a whole group has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grain(pub(super) u8);

impl Grain {
    /// The group of the suffix of `name` of `labels` labels.
    pub(super) fn group(self, name: &HashedName, labels: u8) -> Group {
        Group(name.suffix(labels.min(self.0)).hash)
    }

    /// The group of a node of so many labels; `last` is that of the one before it in canonical order.
    pub(super) fn group_after(self, last: Group, node: &Node, labels: u8) -> Group {
        if labels <= self.0 { Group(node.hash) } else { last }
    }
}

/// A group: the hash of the name that it is at and below, or that is alone in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Group(u64);

/// Which table a group is in.
///
/// hashbrown picks buckets by a hash's lowest bits and tells apart what shares
/// a bucket by its top seven. These are others, or every node of a table would
/// look alike to it.
fn number(Group(hash): Group) -> usize {
    usize::try_from((hash >> 40) & 0xfff).expect("twelve bits")
}

/// Where that table is.
fn place(group: Group) -> (usize, usize, usize) {
    let number = number(group);
    (number / FAN / FAN, number / FAN % FAN, number % FAN)
}

impl Shards {
    /// The node of an apex of `top` labels alone; groups are of this grain.
    pub(super) fn new(apex: Node, top: u8, grain: Grain) -> Self {
        let table = Arc::new(Table::new());
        let shelf = Arc::new(array::from_fn(|_| Arc::clone(&table)));
        let rack = Arc::new(array::from_fn(|_| Arc::clone(&shelf)));
        let octets = apex.octets();
        Self { apex, top, racks: array::from_fn(|_| Arc::clone(&rack)), grain, octets }
    }

    /// The node whose owner is the suffix of `name` of `labels` labels.
    pub(super) fn get(&self, name: &HashedName, labels: u8) -> Option<&Node> {
        let owner = name.suffix(labels);
        if labels == self.top {
            return self.apex.is_at(owner).then_some(&self.apex);
        }
        self.table(self.group(name, labels)).find(owner.hash, |node| node.is_at(owner))
    }

    /// The node of the apex.
    pub(super) fn apex(&self) -> &Node {
        &self.apex
    }

    /// The node of `group` with the owner of `node`; not that of the apex.
    pub(super) fn like(&self, group: Group, node: &Node) -> Option<&Node> {
        self.table(group).find(node.hash, |found| found.is_at(node.suffix()))
    }

    /// The wildcard directly below the suffix of `name` of `labels` labels.
    pub(super) fn wildcard_below(&self, name: &HashedName, labels: u8) -> Option<&Node> {
        let encloser = name.suffix(labels);
        let hash = encloser.wildcard_hash();
        let group = if labels < self.grain.0 { Group(hash) } else { self.group(name, labels) };
        let is_wildcard = |node: &Node| node.owner().strip_prefix(b"\x01*") == Some(encloser.wire);
        self.table(group).find(hash, is_wildcard)
    }

    /// The group of the suffix of `name` of `labels` labels.
    pub(super) fn group(&self, name: &HashedName, labels: u8) -> Group {
        self.grain.group(name, labels)
    }

    /// How deep groups are.
    pub(super) fn grain(&self) -> Grain {
        self.grain
    }

    /// The group of a node at or below `root`.
    pub(super) fn group_within(&self, root: &HashedName, node: &Node) -> Group {
        if root.labels() >= self.grain.0 {
            return self.group(root, self.grain.0);
        }
        let name = node.name();
        self.group(&name, name.labels())
    }

    /// Puts `node`, of `group` and not that of the apex, in the place of the one with its owner.
    pub(super) fn insert(&mut self, group: Group, node: Node) {
        let (table, octets) = (self.table_mut(group), node.octets());
        let before = match table.entry(node.hash, |other| other.is_at(node.suffix()), |node| node.hash) {
            hashbrown::hash_table::Entry::Occupied(mut entry) => mem::replace(entry.get_mut(), node).octets(),
            hashbrown::hash_table::Entry::Vacant(entry) => {
                entry.insert(node);
                0
            }
        };
        self.octets = self.octets + octets - before;
    }

    /// Puts in nodes of names that are not there yet; tables get no more room than they need.
    pub(super) fn extend(&mut self, nodes: Nodes) {
        self.octets += nodes.octets;
        let mut counts = vec![0; FAN * FAN * FAN];
        nodes.placed.iter().for_each(|placed| counts[number(placed.group)] += 1);
        let mut nodes = nodes.placed.into_iter().peekable();
        while let Some(group) = nodes.peek().map(|placed| placed.group) {
            let table = self.table_mut(group);
            table.reserve(mem::take(&mut counts[number(group)]), |node| node.hash);
            // Those of a group mostly stand together.
            while let Some(Placed { hash, node, .. }) = nodes.next_if(|placed| placed.group == group) {
                table.insert_unique(hash, node, |node| node.hash);
            }
        }
    }

    /// Takes out the node of `group` at `owner`, not the apex.
    pub(super) fn remove(&mut self, group: Group, owner: Suffix<'_>) {
        let table = self.table_mut(group);
        if let Ok(entry) = table.find_entry(owner.hash, |node| node.is_at(owner)) {
            let (node, _) = entry.remove();
            // Names come and go in all tables: none may keep the room for the most that it ever had.
            if table.len() < table.capacity() / 4 {
                table.shrink_to(2 * table.len(), |node| node.hash);
            }
            self.octets -= node.octets();
        }
    }

    /// Changes the node whose owner is the suffix of `name` of `labels` labels, if there is one; not its size.
    pub(super) fn update(&mut self, name: &HashedName, labels: u8, change: impl FnOnce(&mut Node)) {
        if labels == self.top {
            return change(&mut self.apex);
        }
        let owner = name.suffix(labels);
        let table = self.table_mut(self.group(name, labels));
        if let Some(node) = table.find_mut(owner.hash, |node| node.is_at(owner)) {
            change(node);
        }
    }

    /// Every node at or below `root`, which is below the apex, in no order.
    pub(super) fn within(&self, root: &HashedName) -> Vec<Node> {
        let is_within = |node: &&Node| name::is_within(node.owner(), root.wire());
        if root.labels() < self.grain.0 {
            return self.iter().filter(is_within).cloned().collect();
        }
        self.table(self.group(root, root.labels())).iter().filter(is_within).cloned().collect()
    }

    /// Whether both have the same names, and these say the same; the groups of both are of the same depth.
    pub(super) fn say_the_same(&self, others: &Self) -> bool {
        let same_tables = self.tables().zip(others.tables()).all(|(table, other)| {
            let is_there = |node: &Node| {
                let found = other.find(node.hash, |found| found.owner() == node.owner());
                found.is_some_and(|found| found.says_the_same(node))
            };
            Arc::ptr_eq(table, other) || (table.len() == other.len() && table.iter().all(is_there))
        });
        same_tables && self.apex.says_the_same(&others.apex)
    }

    /// What is at each name where both are not the same, the apex first: the node of `before`, and that of this one. What
    /// they share costs nothing; the groups of both are of the same depth.
    pub(super) fn changes<'s>(
        &'s self,
        before: &'s Self,
    ) -> impl Iterator<Item = (Option<&'s Node>, Option<&'s Node>)> {
        let racks = before.racks.iter().zip(&self.racks).filter(|(old, new)| !Arc::ptr_eq(old, new));
        let shelves = racks.flat_map(|(old, new)| old.iter().zip(new.iter()));
        let shelves = shelves.filter(|(old, new)| !Arc::ptr_eq(old, new));
        let tables = shelves.flat_map(|(old, new)| old.iter().zip(new.iter()));
        let tables = tables.filter(|(old, new)| !Arc::ptr_eq(old, new));
        let below = tables.flat_map(|(old, new)| {
            let gone = old.iter().filter(|node| !contains(new, node)).map(|node| (Some(node), None));
            let others =
                new.iter().map(|node| (old.find(node.hash, |found| found.owner() == node.owner()), Some(node)));
            gone.chain(others)
        });
        let is_another = |(old, new): &(Option<&Node>, Option<&Node>)| match (old, new) {
            (Some(old), Some(new)) => !old.is(new) && !old.says_the_same(new),
            _ => true,
        };
        iter::once((Some(&before.apex), Some(&self.apex))).chain(below).filter(is_another)
    }

    /// How much memory they take, in octets: the nodes, and the arrays that lead to their tables.
    pub(super) fn octets(&self) -> usize {
        // What is empty is shared, as long as nothing was there.
        let shelves = self.racks.iter().flat_map(|rack| rack.iter());
        let tables = shelves.map(|shelf| shelf.iter().filter(|table| !table.is_empty()).count());
        let arrays = tables.filter(|tables| *tables > 0).map(|tables| size_of::<Shelf>() + tables * size_of::<Table>());
        self.octets + FAN * size_of::<Rack>() + arrays.sum::<usize>()
    }

    fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.racks.iter().flat_map(|rack| rack.iter()).flat_map(|shelf| shelf.iter())
    }

    /// Every node, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Node> {
        iter::once(&self.apex).chain(self.tables().flat_map(|table| table.iter()))
    }

    /// Lets tables have no more room than their nodes take.
    pub(super) fn shrink(&mut self) {
        let has_room = |table: &Arc<Table>| table.len() < table.capacity();
        for rack in self.racks.iter_mut().filter(|rack| rack.iter().flat_map(|shelf| shelf.iter()).any(has_room)) {
            for shelf in Arc::make_mut(rack).iter_mut().filter(|shelf| shelf.iter().any(has_room)) {
                for table in Arc::make_mut(shelf).iter_mut().filter(|table| has_room(table)) {
                    Arc::make_mut(table).shrink_to_fit(|node| node.hash);
                }
            }
        }
    }

    fn table(&self, group: Group) -> &Table {
        let (rack, shelf, table) = place(group);
        &self.racks[rack][shelf][table]
    }

    fn table_mut(&mut self, group: Group) -> &mut Table {
        let (rack, shelf, table) = place(group);
        Arc::make_mut(&mut Arc::make_mut(&mut Arc::make_mut(&mut self.racks[rack])[shelf])[table])
    }
}

fn contains(table: &Table, node: &Node) -> bool {
    table.find(node.hash, |found| found.owner() == node.owner()).is_some()
}
