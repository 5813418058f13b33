//! The parts of structs, sequences and maps, made one after another.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

use super::candidates::{KNOWN_LENGTHS, NEW_LENGTHS, pick};
use super::deserializer::Trace;
use super::error::{TraceError, caught};
use super::explore::Tracer;
use super::node::Place;

/// Makes the parts of one node.
#[derive(Clone, Copy)]
pub(super) struct Inside<'t> {
    pub(super) tracer: &'t Tracer,
    pub(super) node: usize,
    pub(super) variant: u32,
    pub(super) known: bool,
    pub(super) attempt: usize,
    pub(super) depth: usize,
}

impl<'t> Inside<'t> {
    pub(super) fn place(self, part: u32) -> Place {
        Place {
            node: self.node,
            variant: self.variant,
            part,
        }
    }

    pub(super) fn part(self, part: u32) -> Trace<'t> {
        let Self {
            tracer,
            known,
            attempt: salt,
            depth,
            ..
        } = self;
        Trace {
            tracer,
            place: self.place(part),
            known,
            salt,
            depth,
        }
    }

    pub(super) fn feed<'de, S: DeserializeSeed<'de>>(
        self,
        part: u32,
        seed: S,
    ) -> Result<S::Value, TraceError> {
        self.trying(part, || seed.deserialize(self.part(part)))
    }

    pub(super) fn trying<V>(
        self,
        part: u32,
        make: impl FnOnce() -> Result<V, TraceError>,
    ) -> Result<V, TraceError> {
        let fail = |&error: &_| {
            let mut state = self.tracer.state.borrow_mut();
            state.fail(self.place(part), error);
        };
        caught(make).inspect_err(fail)
    }

    pub(super) fn hopeless(self, part: u32) -> bool {
        self.tracer
            .state
            .borrow()
            .hopeless
            .contains(&self.place(part))
    }

    /// How many elements or entries to make, whose parts are numbered from 0 to `parts`.
    pub(super) fn length(self, parts: u32) -> Result<usize, TraceError> {
        let lengths = if self.known {
            KNOWN_LENGTHS
        } else {
            NEW_LENGTHS
        };
        if (0..parts).all(|part| self.hopeless(part)) {
            self.tracer.make_up()?;
        }
        if self.tracer.makes_up && (0..parts).any(|part| self.hopeless(part)) {
            return Ok(0);
        }
        Ok(pick(lengths, self.attempt))
    }

    /// Fields in their order. Where one is hopeless they come by name, it last: derived code takes
    /// them in any order, so that those after it are seen all the same.
    pub(super) fn fields<'de, V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        if fields.is_empty() {
            self.tracer.make_up()?;
        }
        let mut order: Vec<u32> = (0..).take(fields.len()).collect();
        if !order.iter().any(|&part| self.hopeless(part)) {
            return visitor.visit_seq(Parts {
                inside: self,
                order: order.into_iter(),
            });
        }
        order.sort_by_key(|&part| self.hopeless(part));
        let named: Vec<_> = order
            .into_iter()
            .map(|part| (part, fields[part as usize]))
            .collect();
        visitor.visit_map(Named {
            inside: self,
            keys: named.into_iter(),
            part: 0,
        })
    }

    pub(super) fn parts<'de, V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        if len == 0 {
            self.tracer.make_up()?;
        }
        let order: Vec<u32> = (0..).take(len).collect();
        visitor.visit_seq(Parts {
            inside: self,
            order: order.into_iter(),
        })
    }
}

/// Parts by their numbers.
pub(super) struct Parts<'t> {
    pub(super) inside: Inside<'t>,
    pub(super) order: std::vec::IntoIter<u32>,
}

impl<'de> SeqAccess<'de> for Parts<'_> {
    type Error = TraceError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, TraceError> {
        self.order
            .next()
            .map(|part| self.inside.feed(part, seed))
            .transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.order.len())
    }
}

/// Parts by their names.
pub(super) struct Named<'t> {
    pub(super) inside: Inside<'t>,
    pub(super) keys: std::vec::IntoIter<(u32, &'static str)>,
    pub(super) part: u32,
}

impl<'de> MapAccess<'de> for Named<'_> {
    type Error = TraceError;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, TraceError> {
        let Some((part, key)) = self.keys.next() else {
            return Ok(None);
        };
        self.part = part;
        seed.deserialize(BorrowedStrDeserializer::new(key))
            .map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, TraceError> {
        self.inside.feed(self.part, seed)
    }
}

/// Entries of a map: the key is part 0, the value part 1.
pub(super) struct Entries<'t> {
    pub(super) inside: Inside<'t>,
    pub(super) left: usize,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = TraceError;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, TraceError> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        self.inside.feed(0, seed).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, TraceError> {
        self.inside.feed(1, seed)
    }

    fn next_entry_seed<K: DeserializeSeed<'de>, V: DeserializeSeed<'de>>(
        &mut self,
        key: K,
        value: V,
    ) -> Result<Option<(K::Value, V::Value)>, TraceError> {
        // Of a map whose key cannot be made, the value can be seen all the same.
        if self.left > 0 && self.inside.hopeless(0) {
            self.inside.feed(1, value)?;
            return Err(TraceError::Rejected);
        }
        let Some(key) = self.next_key_seed(key)? else {
            return Ok(None);
        };
        Ok(Some((key, self.next_value_seed(value)?)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}
