//! Names as lookups want them: lower-case wire form, every suffix hashed once.
//!
//! A zone finds a node by the hash of its whole owner name. A query name is
//! hashed in one pass from the root, label by label, so that the hash of each
//! of its ancestors falls out on the way: the set of zones, the zone, and its
//! search for the closest encloser all probe with what is computed here.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;

use arrayvec::ArrayVec;
use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;
use hickory_proto::rr::Name;
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

/// The most labels of a name, the root not counted: 127 of one octet each make 255 (RFC 1035 §2.3.4).
const MAX_LABELS: usize = 127;

/// The most octets of a name on the wire (RFC 1035 §2.3.4).
pub const MAX_NAME: usize = 255;

/// One secret for the whole process, so that zones and the set of zones share a query's hashes.
///
/// Keys come from zone data and strangers only probe; yet who may create
/// Services must not be able to choose names that collide.
static SECRET: LazyLock<(u64, SharedSeed)> = LazyLock::new(|| {
    let entropy = RandomState::new();
    (entropy.hash_one(0), SharedSeed::from_u64(entropy.hash_one(1)))
});

/// Bytes that are no name as a question may hold it: not whole, too long, or compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an uncompressed name")]
pub struct MalformedName;

/// A name, ready to be looked up.
///
/// It has room for the longest name, so that reading one takes no memory, and
/// nothing is written but what a name has. At some 1,400 octets it is too large
/// to be moved about for each query: [`HashedName::set`] reads into a place that
/// the caller has.
///
/// # Invariants
///
/// - `lower-case`: `wire` holds the name in wire form with ASCII letters in lower case, root label last.
/// - `labels`: `starts[n]` is where in `wire` the label begins that has `n` labels before it; the root's is the last.
/// - `suffixes`: `hashes[n]` is the hash of the suffix of `n` labels; `hashes[0]` is the root's.
#[derive(Clone)]
pub struct HashedName {
    wire: ArrayVec<u8, MAX_NAME>,
    starts: ArrayVec<u8, { MAX_LABELS + 1 }>,
    hashes: ArrayVec<u64, { MAX_LABELS + 1 }>,
}

impl HashedName {
    /// The root.
    #[must_use]
    pub fn root() -> Self {
        let mut root = Self { wire: ArrayVec::new(), starts: ArrayVec::new(), hashes: ArrayVec::new() };
        root.reset();
        root
    }

    /// Becomes the root.
    fn reset(&mut self) {
        self.wire.clear();
        self.wire.push(0);
        self.starts.clear();
        self.starts.push(0);
        self.hashes.clear();
        self.hashes.push(SECRET.0);
    }

    /// Reads the uncompressed name at the beginning of `bytes`; its length is [`HashedName::wire`]'s.
    ///
    /// # Errors
    ///
    /// When the bytes end within the name, it is longer than 255 octets, or a
    /// label's type is other than "ordinary" (RFC 1035 §4.1.4, RFC 6891 §5).
    pub fn read(bytes: &[u8]) -> Result<Self, MalformedName> {
        let mut name = Self::root();
        name.set(bytes)?;
        Ok(name)
    }

    /// As [`HashedName::read`], in the place of the name that this was; after an error it is the root.
    ///
    /// # Errors
    ///
    /// As [`HashedName::read`].
    pub fn set(&mut self, bytes: &[u8]) -> Result<(), MalformedName> {
        self.reset();
        self.starts.clear();
        let mut at = 0;
        loop {
            match bytes.get(at) {
                // 254 is where the root of the longest name begins.
                Some(&length @ ..64) if at < MAX_NAME && !self.starts.is_full() => {
                    self.starts.push(u8::try_from(at).expect("less than 255"));
                    if length == 0 {
                        break;
                    }
                    at += 1 + usize::from(length);
                }
                _ => {
                    self.reset();
                    return Err(MalformedName);
                }
            }
        }
        self.wire.clear();
        self.wire.try_extend_from_slice(&bytes[..=at]).expect("at most 255 octets");
        // A label's length, at most 63, is no letter: lower case can be had without a look at labels.
        self.wire.make_ascii_lowercase();

        let (mut hash, seed) = (SECRET.0, &SECRET.1);
        let mut end = at;
        for start in self.starts.iter().rev().skip(1).map(|&start| usize::from(start)) {
            hash = extend(hash, &self.wire[start + 1..end], seed);
            self.hashes.push(hash);
            end = start;
        }
        Ok(())
    }

    /// How many labels it has, the root not counted.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "at most 127")]
    pub fn labels(&self) -> u8 {
        (self.starts.len() - 1) as u8
    }

    /// Its wire form in lower case.
    #[must_use]
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// Its last `labels` labels, at most all.
    #[must_use]
    pub fn suffix(&self, labels: u8) -> Suffix<'_> {
        let all = self.labels();
        let labels = labels.min(all);
        let start = self.starts[usize::from(all - labels)];
        Suffix { hash: self.hashes[usize::from(labels)], wire: &self.wire[usize::from(start)..] }
    }

    /// The whole name.
    #[must_use]
    pub fn whole(&self) -> Suffix<'_> {
        self.suffix(self.labels())
    }

    /// Whether it is `ancestor` or below it; `ancestor` is in lower-case wire form.
    #[must_use]
    pub fn is_within(&self, ancestor: &[u8]) -> bool {
        is_within(self.wire(), ancestor)
    }
}

impl From<&Name> for HashedName {
    fn from(name: &Name) -> Self {
        Self::read(&wire(name)).expect("a `Name` is at most 255 octets of ordinary labels")
    }
}

impl std::fmt::Debug for HashedName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HashedName({})", name(self.wire()))
    }
}

/// A suffix of a [`HashedName`].
#[derive(Debug, Clone, Copy)]
pub struct Suffix<'n> {
    /// Its hash.
    pub hash: u64,
    /// Its wire form in lower case.
    pub wire: &'n [u8],
}

impl Suffix<'_> {
    /// The hash of the wildcard directly below this name (RFC 4592 §2.1.1).
    #[must_use]
    pub fn wildcard_hash(&self) -> u64 {
        hash_below(self.hash, b"*")
    }
}

/// The hash of the name that `label`, in lower case, makes of the one that hashes to `parent`.
#[must_use]
pub(super) fn hash_below(parent: u64, label: &[u8]) -> u64 {
    extend(parent, label, &SECRET.1)
}

/// As [`hash_below`], for those who have the seed at hand.
fn extend(parent: u64, label: &[u8], seed: &SharedSeed) -> u64 {
    let mut hasher = FoldHasher::with_seed(parent, seed);
    hasher.write(label);
    hasher.finish()
}

/// A name's wire form, its case kept.
#[must_use]
pub fn wire(name: &Name) -> Vec<u8> {
    let mut wire = Vec::with_capacity(MAX_NAME);
    push_wire(name, &mut wire);
    wire
}

/// Appends a name's wire form to `wire`, its case kept.
pub(super) fn push_wire(name: &Name, wire: &mut Vec<u8>) {
    for label in name {
        wire.push(u8::try_from(label.len()).expect("a label of at most 63 octets"));
        wire.extend_from_slice(label);
    }
    wire.push(0);
}

/// The length of the uncompressed name that `wire` begins with; none where there is none.
pub(super) fn len(wire: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < MAX_NAME {
        match *wire.get(at)? {
            0 => return Some(at + 1),
            length @ 1..64 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
    None
}

/// The name that `wire`, a whole uncompressed name, stands for.
///
/// # Panics
///
/// When `wire` is no such name.
#[must_use]
pub(super) fn name(wire: &[u8]) -> Name {
    Name::read(&mut BinDecoder::new(wire)).expect("an uncompressed name")
}

/// The labels of a well-formed wire name, the leftmost first, the root left out.
pub(super) fn labels(mut wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (&length, rest) = wire.split_first()?;
        if length == 0 {
            return None;
        }
        let (label, rest) = rest.split_at_checked(usize::from(length))?;
        wire = rest;
        Some(label)
    })
}

/// The name one label shorter; the root has none.
#[must_use]
pub(super) fn parent(wire: &[u8]) -> Option<&[u8]> {
    match *wire.first()? {
        0 => None,
        length => wire.get(usize::from(length) + 1..),
    }
}

/// Whether the name is a wildcard: its first label is an asterisk alone (RFC 4592 §2.1.1).
pub(super) fn is_wildcard(wire: &[u8]) -> bool {
    wire.starts_with(b"\x01*")
}

/// Whether `wire` is `ancestor` or below it; both in lower case.
#[must_use]
pub(super) fn is_within(wire: &[u8], ancestor: &[u8]) -> bool {
    let Some(above) = wire.len().checked_sub(ancestor.len()) else {
        return false;
    };
    // Equal bytes at the end are not enough: they must begin where a label does.
    let mut at = 0;
    while at < above {
        at += 1 + usize::from(wire[at]);
    }
    at == above && wire[above..] == *ancestor
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashed(text: &str) -> HashedName {
        HashedName::from(&Name::from_ascii(text).unwrap())
    }

    #[test]
    fn a_suffix_hashes_as_the_name_it_is() {
        let qname = hashed("Web.shop.SVC.c2.k8s.ooo.");
        for (labels, suffix) in
            ["", "ooo.", "k8s.ooo.", "c2.k8s.ooo.", "svc.c2.k8s.ooo.", "shop.svc.c2.k8s.ooo."].iter().enumerate()
        {
            let alone = hashed(if suffix.is_empty() { "." } else { suffix });
            let within = qname.suffix(u8::try_from(labels).unwrap());
            assert_eq!((within.hash, within.wire), (alone.whole().hash, alone.whole().wire), "{suffix}");
        }
    }

    #[test]
    fn label_boundaries_count_in_the_hash() {
        assert_ne!(hashed("ab.c.").whole().hash, hashed("a.bc.").whole().hash);
        assert_ne!(hashed("a.").whole().hash, hashed(".").whole().hash);
    }

    #[test]
    fn the_wildcard_below_a_name_hashes_as_that_name() {
        assert_eq!(hashed("c1.k8s.ooo.").whole().wildcard_hash(), hashed("*.c1.k8s.ooo.").whole().hash);
    }

    #[test]
    fn only_whole_uncompressed_names_are_read() {
        let longest = [[63; 64].as_slice(), &[63; 64], &[63; 64], &[61; 62], &[0]].concat();
        assert_eq!(longest.len(), 255);
        assert_eq!(HashedName::read(&longest).unwrap().wire().len(), 255);
        let most_labels = [b"\x01a".repeat(127), vec![0]].concat();
        assert_eq!(HashedName::read(&most_labels).unwrap().labels(), 127);

        for malformed in [
            [[63; 64].as_slice(), &[63; 64], &[63; 64], &[62; 63], &[0]].concat(), // 256 octets
            [b"\x01a".repeat(128), vec![0]].concat(),
            b"\x03abc".to_vec(),
            b"\x05abc\x00".to_vec(),
            b"\xc0\x0c".to_vec(),
            b"\x40a\x00".to_vec(),
            b"\x80a\x00".to_vec(),
            vec![],
        ] {
            assert_eq!(HashedName::read(&malformed).err(), Some(MalformedName), "{malformed:?}");

            let mut name = hashed("Web.shop.");
            assert_eq!(name.set(&malformed), Err(MalformedName));
            assert_eq!((name.whole().hash, name.wire()), (hashed(".").whole().hash, &b"\0"[..]), "{malformed:?}");
        }
    }

    #[test]
    fn a_name_leaves_nothing_behind_for_the_next_in_its_place() {
        let mut name = hashed("a.much.longer.name.k8s.ooo.");
        for text in ["Web.shop.svc.", "x.", "."] {
            name.set(&wire(&Name::from_ascii(text).unwrap())).unwrap();
            let fresh = hashed(text);
            assert_eq!((name.wire(), name.labels()), (fresh.wire(), fresh.labels()));
            for labels in 0..=name.labels() {
                let (one, other) = (name.suffix(labels), fresh.suffix(labels));
                assert_eq!((one.hash, one.wire), (other.hash, other.wire), "{text} {labels}");
            }
        }
    }

    #[test]
    fn a_name_is_within_another_only_at_label_boundaries() {
        assert!(hashed("a.b.").is_within(b"\x01b\0"));
        assert!(hashed("b.").is_within(b"\x01b\0"));
        assert!(hashed("b.").is_within(b"\0"));
        assert!(!hashed("ab.").is_within(b"\x01b\0"));
        let lookalike = HashedName::from(&Name::from_labels([&b"x\x01b"[..]]).unwrap());
        assert!(!lookalike.is_within(b"\x01b\0"));
        assert!(!hashed(".").is_within(b"\x01b\0"));
    }
}
