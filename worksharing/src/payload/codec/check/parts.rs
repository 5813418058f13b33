use serde::Serialize;
use serde::ser;

use super::{Checked, Walk};
use crate::payload::codec::Unencodable;
use crate::payload::codec::names::Agreement;

macro_rules! parts {
    ($($compound:ident $method:ident $inside:ident;)*) => {
        $(impl ser::$compound for Walk<'_> {
            type Ok = ();
            type Error = Unencodable;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Checked {
                self.$inside(value)
            }

            fn end(self) -> Checked {
                Ok(())
            }
        })*
    };
}

impl Walk<'_> {
    fn part<T: Serialize + ?Sized>(self, value: &T) -> Checked {
        self.inside(value, false)
    }
}

parts! {
    SerializeSeq serialize_element element;
    SerializeTuple serialize_element part;
    SerializeTupleStruct serialize_field part;
    SerializeTupleVariant serialize_field part;
}

impl ser::SerializeMap for Walk<'_> {
    type Ok = ();
    type Error = Unencodable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Checked {
        self.element(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Checked {
        self.part(value)
    }

    fn end(self) -> Checked {
        Ok(())
    }
}

/// The fields of a struct or of a struct variant.
pub(crate) struct Fields<'n> {
    pub(super) walk: Walk<'n>,
    /// `None` once they disagree with what the type reads.
    pub(super) agreement: Option<Agreement>,
}

macro_rules! fields {
    ($($compound:ident)*) => {
        $(impl ser::$compound for Fields<'_> {
            type Ok = ();
            type Error = Unencodable;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                field: &'static str,
                value: &T,
            ) -> Checked {
                let agreed = self.agreement.as_mut().is_none_or(|agreement| agreement.field(field));
                self.walk.agree(agreed);
                self.walk.part(value)
            }

            fn skip_field(&mut self, _field: &'static str) -> Checked {
                self.walk.agree(false);
                Ok(())
            }

            fn end(self) -> Checked {
                Ok(())
            }
        })*
    };
}

fields! { SerializeStruct SerializeStructVariant }
