use ::postgres::types::{ToSql, Type};

use crate::backend::postgres::outbox::Names;
use crate::outbox::Text;

/// Where it stands what transactions have invalidated, and what is not laid yet.
#[derive(Clone)]
pub(super) struct Pending {
    pub(super) names: Names,
    /// What the table of values is known by in the outbox.
    pub(super) store: String,
}

/// Keys, and the texts that they are made of.
#[derive(Default)]
pub(super) struct Texts<'a> {
    keys: Vec<&'a str>,
    kinds: Vec<i16>,
    texts: Vec<&'a str>,
}

impl Pending {
    /// SQL of those of the keys that are pending: looked up by an index, where `EXISTS` may read all rows into a table. Its parameters have the numbers from `first` on.
    pub(super) fn keys(&self, first: usize) -> String {
        let [rows, due, _] = self.names.tables();
        let [keys, kinds, texts, store] = [0, 1, 2, 3].map(|place| first + place);
        format!(
            "SELECT w.key FROM unnest(${keys}::text[], ${kinds}::smallint[], ${texts}::text[]) AS w(key, kind, text)
              WHERE (SELECT true FROM {rows} AS r WHERE r.text = w.text AND r.kind = w.kind LIMIT 1)
                 OR (SELECT true FROM {due} AS d WHERE d.text = w.text AND d.kind = w.kind AND d.store = ${store} LIMIT 1)"
        )
    }
}

impl<'a> Texts<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The parameters of [`Pending::keys`].
    pub(super) fn parameters<'s>(
        &'s self,
        pending: &'s Pending,
    ) -> [(&'s (dyn ToSql + Sync), Type); 4] {
        [
            (&self.keys, Type::TEXT_ARRAY),
            (&self.kinds, Type::INT2_ARRAY),
            (&self.texts, Type::TEXT_ARRAY),
            (&pending.store, Type::TEXT),
        ]
    }
}

impl<'a> FromIterator<(&'a str, &'a Text)> for Texts<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a Text)>>(all: I) -> Self {
        let mut texts = Self::default();
        for (key, text) in all {
            texts.keys.push(key);
            texts.kinds.push(text.what.number());
            texts.texts.push(&text.text);
        }
        texts
    }
}
