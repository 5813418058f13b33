//! The deserializer that makes values up.

use std::any::type_name;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, Visitor};

use super::access::{Entries, Inside, Named, Parts};
use super::candidates::{ATTEMPTS, BOOLS, BYTES, CHARS, NUMBERS, STRINGS, UNSIGNED, pick};
use super::error::TraceError;
use super::explore::Tracer;
use super::node::{NodeKey, Place, Seen};

/// Deeper than this a type has no value that could be made.
const MAX_DEPTH: usize = 100;

/// Makes the value at one place.
#[derive(Clone, Copy)]
pub(super) struct Trace<'t> {
    pub(super) tracer: &'t Tracer,
    pub(super) place: Place,
    /// The type around it was seen before: nothing is noted, and the smallest value will do.
    pub(super) known: bool,
    /// Attempts made at places around this one: they change all values below.
    pub(super) salt: usize,
    pub(super) depth: usize,
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
        let mut state = self.tracer.state.borrow_mut();
        state.step()?;
        if !self.known {
            state.note(self.place, Seen::Leaf(kind));
        }
        let attempt = state.attempt(self.place, self.tracer.candidates(candidates));
        self.tracer.make_up()?;
        Ok(attempt + self.salt)
    }

    fn enter<V>(
        self,
        kind: &'static str,
        name: &'static str,
        members: &'static [&'static str],
        len: usize,
    ) -> Result<Inside<'t>, TraceError> {
        let mut state = self.tracer.state.borrow_mut();
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
        let attempt = state.attempt(self.place, self.tracer.candidates(ATTEMPTS)) + self.salt;
        if known {
            // There is nothing to see: only values to make up.
            self.tracer.make_up()?;
        }
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
        self.tracer.state.borrow_mut().self_describing = true;
        self
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
        self.tracer.make_up()?;
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        let inside = self.enter::<V>("newtype", name, &[], 1)?;
        inside.trying(0, || visitor.visit_newtype_struct(inside.part(0)))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        let inside = self.enter::<V>("option", "", &[], 1)?;
        // Attempts at the option itself turn it round: some validated types want the other one.
        if (inside.known != (inside.attempt % 2 == 1)) || inside.hopeless(0) {
            self.tracer.make_up()?;
            return visitor.visit_none();
        }
        inside.trying(0, || visitor.visit_some(inside.part(0)))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        let inside = self.enter::<V>("seq", "", &[], 0)?;
        let order = vec![0; inside.length(1)?];
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
        let keys = inside.tracer.state.borrow().nodes[inside.node].keys.clone();
        if keys.is_empty() {
            return visitor.visit_map(Entries {
                inside,
                left: inside.length(2)?,
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
            4 => visitor.visit_seq(SeqDeserializer::new(std::iter::empty::<u8>())),
            5 => visitor.visit_map(MapDeserializer::new(std::iter::empty::<(u8, u8)>())),
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
