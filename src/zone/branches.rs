//! Branches: subtrees made ready for a zone that is going to be built, by several threads if need be.

use std::collections::BTreeMap;

use hickory_proto::rr::{Name, RecordType};

use super::build::{self, Warning, ZoneError};
use super::name::{self, HashedName};
use super::node::Node;
use super::shards::{Grain, Group};
use super::{Subtree, count, grain};

/// Subtrees of a zone that is going to be [built](super::Zone::build_with): nodes already, of whose records nothing is kept.
#[derive(Debug)]
pub struct Branches {
    apex: Name,
    origin: HashedName,
    pub(super) nodes: Nodes,
    /// Roots in wire form, and how many there are directly below the name that is above it: of those that came together,
    /// the first.
    pub(super) siblings: Vec<(Box<[u8]>, u32)>,
    /// As [`build::nameservers`] has them.
    pub(super) nameservers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) warnings: Vec<Warning>,
}

impl Branches {
    /// None as yet, of the zone at `apex`.
    #[must_use]
    pub fn new(apex: &Name) -> Self {
        let origin = HashedName::from(apex);
        let nodes = Nodes::new(grain(&origin));
        let apex = apex.clone();
        Self { apex, origin, nodes, siblings: Vec::new(), nameservers: Vec::new(), warnings: Vec::new() }
    }

    /// Adds everything at and below a name; nothing, where it owns no records.
    ///
    /// # Errors
    ///
    /// When the records contradict each other, or the root is not below the apex.
    pub fn add(&mut self, subtree: &Subtree) -> Result<(), ZoneError> {
        let root = HashedName::from(&subtree.root);
        if !root.is_within(self.origin.wire()) || root.labels() == self.origin.labels() {
            return Err(ZoneError::NotBelowApex { owner: subtree.root.clone(), apex: self.apex.clone() });
        }
        let sorted = build::Sorted::new(&root, &subtree.records, &mut self.warnings);
        let owners = sorted.owners(&mut self.warnings);
        self.nameservers.extend(build::nameservers(&self.origin, &owners));
        let nodes = build::assemble(&self.origin, &root, owners, &mut self.warnings)?;
        if nodes.is_empty() {
            return Ok(());
        }
        self.nodes.add(&root, nodes);
        match self.siblings.last_mut() {
            Some((first, roots)) if name::parent(first) == name::parent(root.wire()) => *roots += 1,
            _ => self.siblings.push((root.wire().into(), 1)),
        }
        Ok(())
    }
}

/// Nodes on their way into a zone, with all that would have to be looked up in each of them again.
#[derive(Debug)]
pub(super) struct Nodes {
    grain: Grain,
    pub(super) placed: Vec<Placed>,
    pub(super) octets: usize,
    pub(super) deepest: u8,
    pub(super) census: BTreeMap<RecordType, usize>,
}

/// A node and its place.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) group: Group,
    /// Of its owner.
    pub(super) hash: u64,
    pub(super) node: Node,
}

impl Nodes {
    pub(super) fn new(grain: Grain) -> Self {
        Self { grain, placed: Vec::new(), octets: 0, deepest: 0, census: BTreeMap::new() }
    }

    /// Adds nodes that are at or below `root`, in canonical order.
    pub(super) fn add(&mut self, root: &HashedName, nodes: impl IntoIterator<Item = Node>) {
        let mut group = self.grain.group(root, root.labels());
        for node in nodes {
            let labels = node.labels();
            self.deepest = self.deepest.max(labels);
            self.octets += node.octets();
            count(&mut self.census, &node, usize::wrapping_add);
            group = self.grain.group_after(group, &node, labels);
            self.placed.push(Placed { group, hash: node.hash, node });
        }
    }
}
