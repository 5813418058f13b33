//! The deserializer that makes values up.

use std::any::type_name;

use serde::de::value::{BorrowedStrDeserializer, U32Deserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::candidates::{
    ATTEMPTS, BOOLS, BYTES, CHARS, KNOWN_LENGTHS, NEW_LENGTHS, NUMBERS, STRINGS, UNSIGNED, pick,
};
use super::error::TraceError;
use super::explore::Tracer;
use super::node::{NodeKey, Place, Seen};

/// Deeper than this a type has no value that could be made.
const MAX_DEPTH: usize = 100;

/// Makes the value at one place.
#[derive(Clone, Copy)]
pub(super) struct Trace<'t> {
    tracer: &'t Tracer,
    place: Place,
    /// The type around it was seen before: nothing is noted, and the smallest value will do.
    known: bool,
    /// Attempts made at places around this one: they change all values below.
    salt: usize,
    depth: usize,
}

/// Makes the parts of one node.
#[derive(Clone, Copy)]
struct Inside<'t> {
    tracer: &'t Tracer,
    node: usize,
    variant: u32,
    known: bool,
    attempt: usize,
    depth: usize,
}

impl<'t> Trace<'t> {
    pub(super) fn root(tracer: &'t Tracer) -> Self {
        Self {
            tracer,
            place: Place::ROOT,
            known: false,
            salt: 0,
            depth: 0,
        }
    }

    /// Notes a value without parts. Returns which of the candidates it shall be.
    fn leaf(self, kind: &'static str, candidates: usize) -> Result<usize, TraceError> {
        let mut state = self.tracer.0.borrow_mut();
        state.step()?;
        if !self.known {
            state.note(self.place, Seen::Leaf(kind));
        }
        Ok(state.attempt(self.place, candidates) + self.salt)
    }

    fn enter<V>(
        self,
        kind: &'static str,
        name: &'static str,
        members: &'static [&'static str],
        len: usize,
    ) -> Result<Inside<'t>, TraceError> {
        let mut state = self.tracer.0.borrow_mut();
        state.step()?;
        if self.depth > MAX_DEPTH {
            return Err(TraceError::Rejected);
        }
        let key = NodeKey {
            kind,
            name,
            members,
            len,
            visitor: type_name::<V>(),
        };
        let (node, known) = state.meet(key, self.known);
        if !self.known {
            state.note(self.place, Seen::Node(node));
        }
        let attempt = state.attempt(self.place, ATTEMPTS) + self.salt;
        let (tracer, depth) = (self.tracer, self.depth + 1);
        Ok(Inside {
            tracer,
            node,
            variant: 0,
            known,
            attempt,
            depth,
        })
    }

    fn needs_self_describing(self) -> Self {
        self.tracer.0.borrow_mut().self_describing = true;
        self
    }
}

impl<'t> Inside<'t> {
    fn place(self, part: u32) -> Place {
        Place {
            node: self.node,
            variant: self.variant,
            part,
        }
    }

    fn part(self, part: u32) -> Trace<'t> {
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

    fn feed<'de, S: DeserializeSeed<'de>>(
        self,
        part: u32,
        seed: S,
    ) -> Result<S::Value, TraceError> {
        self.failing(part, seed.deserialize(self.part(part)))
    }

    fn failing<V>(self, part: u32, outcome: Result<V, TraceError>) -> Result<V, TraceError> {
        outcome.inspect_err(|&error| self.tracer.0.borrow_mut().fail(self.place(part), error))
    }

    fn hopeless(self, part: u32) -> bool {
        self.tracer.0.borrow().hopeless.contains(&self.place(part))
    }

    /// How many elements or entries to make, whose parts are numbered from 0 to `parts`.
    fn length(self, parts: u32) -> usize {
        let lengths = if self.known {
            KNOWN_LENGTHS
        } else {
            NEW_LENGTHS
        };
        if (0..parts).any(|part| self.hopeless(part)) {
            0
        } else {
            pick(lengths, self.attempt)
        }
    }

    /// Fields in their order. Where one is hopeless they come by name, it last: derived code takes
    /// them in any order, so that those after it are seen all the same.
    fn fields<'de, V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TraceError> {
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

    fn parts<'de, V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, TraceError> {
        let order: Vec<u32> = (0..).take(len).collect();
        visitor.visit_seq(Parts {
            inside: self,
            order: order.into_iter(),
        })
    }

    fn form(self, form: &'static str, len: usize, fields: &'static [&'static str]) {
        let mut state = self.tracer.0.borrow_mut();
        state.nodes[self.node].variants[self.variant as usize].form = Some((form, len, fields));
    }
}

macro_rules! leaves {
    ($($method:ident $kind:literal $visit:ident $candidates:ident $(as $number:ty)?;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
            let attempt = self.leaf($kind, $candidates.len())?;
            visitor.$visit(pick($candidates, attempt) $(as $number)?)
        })*
    };
}

impl<'de> Deserializer<'de> for Trace<'_> {
    type Error = TraceError;

    leaves! {
        deserialize_bool "bool" visit_bool BOOLS;
        deserialize_i8 "i8" visit_i8 NUMBERS;
        deserialize_i16 "i16" visit_i16 NUMBERS as i16;
        deserialize_i32 "i32" visit_i32 NUMBERS as i32;
        deserialize_i64 "i64" visit_i64 NUMBERS as i64;
        deserialize_i128 "i128" visit_i128 NUMBERS as i128;
        deserialize_u8 "u8" visit_u8 UNSIGNED;
        deserialize_u16 "u16" visit_u16 UNSIGNED as u16;
        deserialize_u32 "u32" visit_u32 UNSIGNED as u32;
        deserialize_u64 "u64" visit_u64 UNSIGNED as u64;
        deserialize_u128 "u128" visit_u128 UNSIGNED as u128;
        deserialize_f32 "f32" visit_f32 NUMBERS as f32;
        deserialize_f64 "f64" visit_f64 NUMBERS as f64;
        deserialize_char "char" visit_char CHARS;
        deserialize_str "str" visit_borrowed_str STRINGS;
        deserialize_string "str" visit_borrowed_str STRINGS;
        deserialize_bytes "bytes" visit_borrowed_bytes BYTES;
        deserialize_byte_buf "bytes" visit_borrowed_bytes BYTES;
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        self.leaf("unit", 1)?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        self.enter::<V>("unit struct", name, &[], 0)?;
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        let inside = self.enter::<V>("newtype", name, &[], 1)?;
        inside.failing(0, visitor.visit_newtype_struct(inside.part(0)))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        let inside = self.enter::<V>("option", "", &[], 1)?;
        // Attempts at the option itself turn it round: some validated types want the other one.
        if (inside.known != (inside.attempt % 2 == 1)) || inside.hopeless(0) {
            return visitor.visit_none();
        }
        inside.failing(0, visitor.visit_some(inside.part(0)))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        let inside = self.enter::<V>("seq", "", &[], 0)?;
        let order = vec![0; inside.length(1)];
        visitor.visit_seq(Parts {
            inside,
            order: order.into_iter(),
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        self.enter::<V>("tuple", "", &[], len)?.parts(len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        self.enter::<V>("tuple struct", name, &[], len)?
            .parts(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        let inside = self.enter::<V>("map", "", &[], 0)?;
        let keys = inside.tracer.0.borrow().nodes[inside.node].keys.clone();
        if keys.is_empty() {
            return visitor.visit_map(Entries {
                inside,
                left: inside.length(2),
            });
        }
        let named: Vec<_> = (2..).zip(keys).collect();
        visitor.visit_map(Named {
            inside,
            keys: named.into_iter(),
            part: 0,
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        self.enter::<V>("struct", name, fields, fields.len())?
            .fields(fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        let inside = self.enter::<V>("enum", name, variants, variants.len())?;
        inside.variant(visitor)
    }

    /// Only formats that name their fields can answer this.
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        self.needs_self_describing().leaf("identifier", 1)?;
        visitor.visit_borrowed_str("")
    }

    /// Only formats that say what comes can answer this.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        const OTHERS: usize = 6;
        let attempt = self
            .needs_self_describing()
            .leaf("any", OTHERS + STRINGS.len())?;
        match attempt % (OTHERS + STRINGS.len()) {
            0 => visitor.visit_unit(),
            1 => visitor.visit_u64(1),
            2 => visitor.visit_bool(true),
            3 => visitor.visit_f64(0.5),
            4 => visitor.visit_seq(serde::de::value::SeqDeserializer::new(
                std::iter::empty::<u8>(),
            )),
            5 => visitor.visit_map(serde::de::value::MapDeserializer::new(std::iter::empty::<(
                u8,
                u8,
            )>())),
            string => visitor.visit_borrowed_str(pick(STRINGS, string - OTHERS)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        self.needs_self_describing().leaf("ignored", 1)?;
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// Parts by their numbers.
struct Parts<'t> {
    inside: Inside<'t>,
    order: std::vec::IntoIter<u32>,
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
struct Named<'t> {
    inside: Inside<'t>,
    keys: std::vec::IntoIter<(u32, &'static str)>,
    part: u32,
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
struct Entries<'t> {
    inside: Inside<'t>,
    left: usize,
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

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl Inside<'_> {
    /// Makes one variant of an enum, and keeps account of what its variants still have to show.
    fn variant<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        let (index, steps, pending) = {
            let mut state = self.tracer.0.borrow_mut();
            let node = &mut state.nodes[self.node];
            let index = node.choose(self.known).ok_or(TraceError::Rejected)?;
            node.nested += 1;
            let mut others = node
                .variants
                .iter()
                .enumerate()
                .filter(|&(i, _)| i != index);
            let more = !self.known && others.any(|(_, other)| other.pending);
            state.pending += usize::from(more);
            (index, state.steps, state.pending)
        };
        let outcome = visitor.visit_enum(Self {
            variant: index as u32,
            ..self
        });
        let mut state = self.tracer.0.borrow_mut();
        let (cost, inside) = (state.steps - steps, state.pending > pending);
        let failed = outcome.is_err();
        let node = &mut state.nodes[self.node];
        node.nested -= 1;
        let variant = &mut node.variants[index];
        if !failed {
            variant.cost = Some(variant.cost.map_or(cost, |known| known.min(cost)));
        }
        let was_pending = variant.pending;
        if !self.known {
            variant.pending_inside = inside;
            variant.pending = inside || (failed && !variant.hopeless);
            let changed = was_pending && !variant.pending;
            state.progress |= changed;
        }
        if failed {
            state.fail_variant(self.node, index);
        }
        outcome
    }
}

impl<'de> EnumAccess<'de> for Inside<'_> {
    type Error = TraceError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self), TraceError> {
        // As bincode does: a variant goes by its number.
        let number: U32Deserializer<TraceError> = self.variant.into_deserializer();
        Ok((seed.deserialize(number)?, self))
    }
}

impl<'de> VariantAccess<'de> for Inside<'_> {
    type Error = TraceError;

    fn unit_variant(self) -> Result<(), TraceError> {
        self.form("unit", 0, &[]);
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<S::Value, TraceError> {
        self.form("newtype", 1, &[]);
        self.feed(0, seed)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        self.form("tuple", len, &[]);
        self.parts(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        self.form("struct", fields.len(), fields);
        self.fields(fields, visitor)
    }
}
