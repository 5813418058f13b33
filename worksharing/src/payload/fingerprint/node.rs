//! What a trace knows of one type.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

use crate::payload::codec::{Members, Owner};

/// A type that has parts, by what serde says of it and by the name of its visitor, which tells
/// `Wrapper<u8>` from `Wrapper<u16>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct NodeKey {
    pub(super) kind: &'static str,
    pub(super) name: &'static str,
    pub(super) members: &'static [&'static str],
    pub(super) len: usize,
    pub(super) visitor: &'static str,
}

/// Where a value stands: which part of which variant of which node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Place {
    pub(super) node: usize,
    pub(super) variant: u32,
    pub(super) part: u32,
}

impl Place {
    pub(super) const ROOT: Self = Self {
        node: usize::MAX,
        variant: 0,
        part: 0,
    };
}

/// What stands at a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Seen {
    Leaf(&'static str),
    Node(usize),
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) key: NodeKey,
    pub(super) parts: BTreeMap<(u32, u32), Seen>,
    pub(super) variants: Vec<Variant>,
    /// How many values of this enum are being made inside one another.
    pub(super) nested: usize,
    /// What serde's errors told: keys of maps that are structs, names of variants.
    pub(super) told: BTreeSet<&'static str>,
    /// Keys without which the map was rejected, in the order in which serde missed them.
    pub(super) keys: Vec<&'static str>,
}

/// One variant of an enum.
#[derive(Clone, Default, Debug)]
pub(super) struct Variant {
    /// `unit`, `newtype`, `tuple` or `struct`, and its fields.
    pub(super) form: Option<(&'static str, usize, &'static [&'static str])>,
    /// Something in it is still to be seen.
    pub(super) pending: bool,
    /// Something in an enum of its own is.
    pub(super) pending_inside: bool,
    /// No value of it can be made.
    pub(super) hopeless: bool,
    /// Steps that it took to make a value.
    pub(super) cost: Option<usize>,
}

impl Node {
    pub(super) fn new(key: NodeKey) -> Self {
        let variants = if key.kind == "enum" {
            key.members.len()
        } else {
            0
        };
        let pending = Variant {
            pending: true,
            ..Variant::default()
        };
        Self {
            key,
            parts: BTreeMap::new(),
            variants: vec![pending; variants],
            nested: 0,
            told: BTreeSet::new(),
            keys: Vec::new(),
        }
    }

    /// The variant to make now. `known` says that the enum was seen before: then the cheapest, or
    /// while none is known another one at each level of nesting, so that recursion ends.
    pub(super) fn choose(&self, known: bool) -> Option<usize> {
        let usable = || (0..self.variants.len()).filter(|&i| !self.variants[i].hopeless);
        let cheapest = usable()
            .filter_map(|i| Some((self.variants[i].cost?, i)))
            .min()
            .map(|(_, i)| i);
        if known {
            return cheapest.or_else(|| usable().nth(self.nested));
        }
        let pending = || self.variants.iter().position(|variant| variant.pending);
        let unseen = self
            .variants
            .iter()
            .position(|variant| variant.form.is_none() && variant.pending);
        unseen
            .or_else(pending)
            .or(cheapest)
            .or_else(|| usable().next())
    }

    /// The names that it reads: of a struct's fields, of an enum's variants and of their fields.
    pub(super) fn members(&self) -> Vec<Members> {
        let NodeKey {
            kind,
            name,
            members,
            ..
        } = self.key;
        match kind {
            "struct" => vec![Members {
                owner: Owner::Struct(name),
                members,
            }],
            "enum" => {
                let fields = self
                    .variants
                    .iter()
                    .zip(members)
                    .filter_map(|(variant, of)| {
                        let (_, _, members) =
                            variant.form.filter(|(form, ..)| *form == "struct")?;
                        Some(Members {
                            owner: Owner::Variant(name, of),
                            members,
                        })
                    });
                let variants = Members {
                    owner: Owner::Enum(name),
                    members,
                };
                fields.chain([variants]).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Its part of the text that is hashed. `opaque` says that parts may be unseen, so that the type's
    /// own name has to stand for them.
    pub(super) fn describe(&self, opaque: bool, text: &mut String) -> fmt::Result {
        let NodeKey {
            kind,
            name,
            members,
            len,
            visitor,
        } = &self.key;
        write!(text, "{kind} {name:?} {members:?} {len}")?;
        for variant in &self.variants {
            write!(text, " {:?}", variant.form)?;
        }
        for (place, seen) in &self.parts {
            write!(text, " {place:?} {seen:?}")?;
        }
        write!(text, " {:?} {:?}", self.told, self.keys)?;
        if opaque {
            write!(text, " {visitor}")?;
        }
        text.write_char('\n')
    }
}
