use std::fmt;

use serde::Serialize;
use serde::ser::{Error, Impossible, Serializer};

/// Whether a value is `None`, by the first call that its `Serialize` makes. Nothing inside is looked at.
pub(crate) fn is_none<T: Serialize + ?Sized>(value: &T) -> bool {
    super::caught(|| value.serialize(FirstCall)) == Ok(Ok(true))
}

/// Answers the first call, or stops there by an error where serde would want to go on inside.
struct FirstCall;

#[derive(PartialEq, Debug)]
struct Stop;

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("seen enough")
    }
}

impl std::error::Error for Stop {}

impl Error for Stop {
    fn custom<M: fmt::Display>(_message: M) -> Self {
        Self
    }
}

type Nothing = Impossible<bool, Stop>;

macro_rules! other {
    ($($method:ident($($argument:ty),*);)*) => {
        $(fn $method(self, $(_: $argument),*) -> Result<bool, Stop> {
            Ok(false)
        })*
    };
}

macro_rules! stop {
    ($($method:ident($($argument:ty),*);)*) => {
        $(fn $method(self, $(_: $argument),*) -> Result<Nothing, Stop> {
            Err(Stop)
        })*
    };
}

impl Serializer for FirstCall {
    type Ok = bool;
    type Error = Stop;
    type SerializeSeq = Nothing;
    type SerializeTuple = Nothing;
    type SerializeTupleStruct = Nothing;
    type SerializeTupleVariant = Nothing;
    type SerializeMap = Nothing;
    type SerializeStruct = Nothing;
    type SerializeStructVariant = Nothing;

    fn serialize_none(self) -> Result<bool, Stop> {
        Ok(true)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Result<bool, Stop> {
        Ok(false)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _value: &T) -> Result<bool, Stop> {
        Ok(false)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _value: &T,
    ) -> Result<bool, Stop> {
        Ok(false)
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, _value: &T) -> Result<bool, Stop> {
        Ok(false)
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    other! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_i128(i128);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_u128(u128);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
        serialize_unit();
        serialize_unit_struct(&'static str);
        serialize_unit_variant(&'static str, u32, &'static str);
    }

    stop! {
        serialize_seq(Option<usize>);
        serialize_tuple(usize);
        serialize_tuple_struct(&'static str, usize);
        serialize_tuple_variant(&'static str, u32, &'static str, usize);
        serialize_map(Option<usize>);
        serialize_struct(&'static str, usize);
        serialize_struct_variant(&'static str, u32, &'static str, usize);
    }
}
