//! A walk over a value before it is encoded: what bincode could not carry, and what [`decode`] would
//! refuse. It writes nothing, and ends as soon as the value is known to be too large.
//!
//! [`decode`]: super::decode

mod parts;

use std::cell::Cell;
use std::fmt::{self, Write};

use serde::Serialize;
use serde::ser::{self, Serializer};

use self::parts::Fields;
use super::names::{Agreement, Names, Owner};
use super::{MAX_DEPTH, Unencodable};

/// What a walk found.
pub(super) struct Found {
    /// Bincode cannot carry the value: its type or what it leaves out needs names, or a sequence did
    /// not say its length.
    pub(super) needs_names: bool,
    /// A `Some` holds what MessagePack writes as nil.
    pub(super) nested_none: bool,
    /// Of sequences and maps.
    pub(super) elements: usize,
    /// Any encoding takes as many.
    pub(super) least_bytes: usize,
}

pub(super) fn walk<T: Serialize + ?Sized>(
    value: &T,
    names: Names,
    limit: usize,
) -> Result<Found, Unencodable> {
    let notes = Notes {
        names,
        needs_names: Cell::new(names.required),
        nested_none: Cell::new(false),
        elements: Cell::new(0),
        left: Cell::new(limit),
    };
    value.serialize(Walk {
        notes: &notes,
        depth: 0,
        in_some: false,
    })?;
    Ok(Found {
        needs_names: notes.needs_names.get(),
        nested_none: notes.nested_none.get(),
        elements: notes.elements.get(),
        least_bytes: limit - notes.left.get(),
    })
}

struct Notes {
    names: Names,
    needs_names: Cell<bool>,
    nested_none: Cell<bool>,
    elements: Cell<usize>,
    /// Of the limit: any encoding takes at least the bytes of strings and of floats, and one for each other number.
    left: Cell<usize>,
}

#[derive(Clone, Copy)]
struct Walk<'n> {
    notes: &'n Notes,
    depth: u32,
    in_some: bool,
}

type Checked = Result<(), Unencodable>;

impl<'n> Walk<'n> {
    fn fields(self, owner: Owner, len: usize) -> Fields<'n> {
        let agreement = Agreement::new(self.notes.names, owner, len);
        self.agree(agreement.is_some());
        Fields {
            walk: self,
            agreement,
        }
    }

    fn claim(self, bytes: usize) -> Checked {
        let left = &self.notes.left;
        left.set(left.get().checked_sub(bytes).ok_or(Unencodable::TooLarge)?);
        Ok(())
    }

    fn inside<T: Serialize + ?Sized>(self, value: &T, in_some: bool) -> Checked {
        let depth = self.depth + 1;
        if depth > MAX_DEPTH {
            return Err(Unencodable::TooDeep);
        }
        value.serialize(Self {
            depth,
            in_some,
            ..self
        })
    }

    fn element<T: Serialize + ?Sized>(self, value: &T) -> Checked {
        self.notes
            .elements
            .set(self.notes.elements.get().saturating_add(1));
        self.inside(value, false)
    }

    fn nil(self) -> Checked {
        if self.in_some {
            self.notes.nested_none.set(true);
        }
        Ok(())
    }

    fn length(self, length: Option<usize>) -> Result<Self, Unencodable> {
        self.agree(length.is_some());
        Ok(self)
    }

    fn variant(self, name: &'static str, index: u32, variant: &'static str) -> Self {
        self.agree(self.notes.names.agree_on_variant(name, index, variant));
        self
    }

    /// Without agreement bincode is out.
    fn agree(self, agreed: bool) {
        if !agreed {
            self.notes.needs_names.set(true);
        }
    }
}

/// Counts what is written to it.
struct Counter<'n>(Walk<'n>, Checked);

impl Write for Counter<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.1 = self.0.claim(s.len());
        if self.1.is_ok() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

macro_rules! numbers {
    ($($method:ident($number:ty) $bytes:literal;)*) => {
        $(fn $method(self, _: $number) -> Checked {
            self.claim($bytes)
        })*
    };
}

macro_rules! goes_on {
    ($($method:ident($($argument:ty),*);)*) => {
        $(fn $method(self, $(_: $argument),*) -> Result<Self, Unencodable> {
            Ok(self)
        })*
    };
}

impl<'n> Serializer for Walk<'n> {
    type Ok = ();
    type Error = Unencodable;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Fields<'n>;
    type SerializeStructVariant = Fields<'n>;

    numbers! {
        serialize_bool(bool) 1;
        serialize_i8(i8) 1;
        serialize_i16(i16) 1;
        serialize_i32(i32) 1;
        serialize_i64(i64) 1;
        serialize_i128(i128) 1;
        serialize_u8(u8) 1;
        serialize_u16(u16) 1;
        serialize_u32(u32) 1;
        serialize_u64(u64) 1;
        serialize_u128(u128) 1;
        serialize_f32(f32) 4;
        serialize_f64(f64) 8;
        serialize_char(char) 1;
    }

    goes_on! {
        serialize_tuple(usize);
        serialize_tuple_struct(&'static str, usize);
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Self, Unencodable> {
        Ok(self.variant(name, index, variant))
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Fields<'n>, Unencodable> {
        Ok(self.fields(Owner::Struct(name), len))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Fields<'n>, Unencodable> {
        let walk = self.variant(name, index, variant);
        Ok(walk.fields(Owner::Variant(name, variant), len))
    }

    fn serialize_str(self, string: &str) -> Checked {
        self.claim(string.len())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Checked {
        self.claim(bytes.len())
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Checked {
        let mut counter = Counter(self, Ok(()));
        let written = write!(counter, "{value}");
        counter.1?;
        written.map_err(|_| Unencodable::Refused("its Display failed".to_owned()))
    }

    fn serialize_none(self) -> Checked {
        self.nil()
    }

    fn serialize_unit(self) -> Checked {
        self.nil()
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Checked {
        Ok(())
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Checked {
        self.variant(name, index, variant);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Checked {
        self.inside(value, true)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Checked {
        // Both codecs write only what is in it, so a `Some` around it is a `Some` of that.
        self.inside(value, self.in_some)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Checked {
        self.variant(name, index, variant).inside(value, false)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self, Unencodable> {
        self.length(length)
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self, Unencodable> {
        self.length(length)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

impl std::error::Error for Unencodable {}

impl ser::Error for Unencodable {
    fn custom<M: fmt::Display>(message: M) -> Self {
        Self::Refused(message.to_string())
    }
}
