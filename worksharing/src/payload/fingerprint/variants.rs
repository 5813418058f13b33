//! The variants of an enum, made one in each run until all were seen.

use serde::de::value::U32Deserializer;
use serde::de::{DeserializeSeed, EnumAccess, IntoDeserializer, VariantAccess, Visitor};

use super::access::Inside;
use super::error::{TraceError, caught};

impl Inside<'_> {
    /// Makes one variant of an enum, and keeps account of what its variants still have to show.
    pub(super) fn variant<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        let turn = self.choose().ok_or(TraceError::Rejected)?;
        let variant = turn.index as u32;
        let outcome = caught(|| visitor.visit_enum(Self { variant, ..self }));
        self.settle(&turn, outcome.is_err());
        outcome
    }

    fn form(self, form: &'static str, len: usize, fields: &'static [&'static str]) {
        let mut state = self.tracer.state.borrow_mut();
        state.nodes[self.node].variants[self.variant as usize].form = Some((form, len, fields));
    }

    fn choose(self) -> Option<Turn> {
        let mut state = self.tracer.state.borrow_mut();
        let node = &mut state.nodes[self.node];
        let index = node.choose(self.known)?;
        node.nested += 1;
        let mut others = (0..node.variants.len()).filter(|&other| other != index);
        let more = !self.known && others.any(|other| node.variants[other].pending);
        state.pending += usize::from(more);
        let (steps, pending) = (state.steps, state.pending);
        Some(Turn {
            index,
            steps,
            pending,
        })
    }

    fn settle(self, turn: &Turn, failed: bool) {
        let mut state = self.tracer.state.borrow_mut();
        let (cost, inside) = (state.steps - turn.steps, state.pending > turn.pending);
        let node = &mut state.nodes[self.node];
        node.nested -= 1;
        let variant = &mut node.variants[turn.index];
        if failed {
            state.fail_variant(self.node, turn.index);
        } else {
            variant.cost = Some(variant.cost.map_or(cost, |known| known.min(cost)));
        }
        if !self.known {
            let variant = &mut state.nodes[self.node].variants[turn.index];
            let was_pending = variant.pending;
            variant.pending_inside = inside;
            variant.pending = inside || (failed && !variant.hopeless);
            let settled = was_pending && !variant.pending;
            state.progress |= settled;
        }
    }
}

/// The variant that is being made, and the counts when that began.
struct Turn {
    index: usize,
    steps: usize,
    pending: usize,
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
        self.tracer.make_up()
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
