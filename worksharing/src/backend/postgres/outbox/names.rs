//! What the outbox is made of in the database, and the SQL that makes it.

use crate::Error;
use crate::outbox::What;

/// The tables and functions of an outbox. Their names begin with that of the table of values, so that applications
/// with tables of their own keep apart.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// Quoted, before a point; empty where the search path says it.
    schema: String,
    table: String,
}

const INVALIDATE: &str = "_invalidate";
const INVALIDATE_TAG: &str = "_invalidate_tag";
/// The functions that transactions call, and what they write.
const FUNCTIONS: [(What, &str); 2] = [(What::Key, INVALIDATE), (What::Tag, INVALIDATE_TAG)];
/// The longest suffix is `_invalidate_tag`, and a name has 63 bytes.
const LONGEST: usize = 48;

impl Names {
    pub(crate) fn new(table: &str) -> Self {
        let (schema, name) = parts(table);
        Self {
            schema: schema.map_or_else(String::new, |schema| format!("{}.", quoted(schema))),
            table: name.to_owned(),
        }
    }

    /// Whether there are such names.
    pub(crate) fn check(table: &str) -> Result<(), Error> {
        if parts(table).1.len() > LONGEST {
            return Err(Error::setting(format!(
                "the table name {table:?} is too long for transactional_invalidation, whose functions have names that \
                 begin with it: write one of up to {LONGEST} bytes, for example `.table(\"worksharing\")`"
            )));
        }
        Ok(())
    }

    fn of(&self, suffix: &str) -> String {
        format!("{}{}", self.schema, identifier(&self.name(suffix)))
    }

    fn name(&self, suffix: &str) -> String {
        format!("{}{suffix}", self.table)
    }

    /// What transactions have written, and nobody has taken yet.
    pub(crate) fn rows(&self) -> String {
        self.of("_outbox")
    }

    /// What is still to be done in each store.
    pub(crate) fn due(&self) -> String {
        self.of("_outbox_due")
    }

    /// The stores, who looks after each, and when that was last said.
    pub(crate) fn stores(&self) -> String {
        self.of("_outbox_stores")
    }

    pub(crate) fn tables(&self) -> [String; 3] {
        [self.rows(), self.due(), self.stores()]
    }

    pub(crate) fn functions(&self) -> [String; 2] {
        FUNCTIONS.map(|(_, suffix)| format!("{}(text)", self.of(suffix)))
    }

    /// The statement by which a transaction invalidates a key.
    pub(crate) fn invalidate(&self, text: &str) -> String {
        format!("SELECT {}({})", self.of(INVALIDATE), literal(text))
    }

    /// The statement by which it invalidates a tag.
    pub(crate) fn invalidate_tag(&self, tag: &str) -> String {
        format!("SELECT {}({})", self.of(INVALIDATE_TAG), literal(tag))
    }

    /// Makes all of it, for whoever may.
    pub(crate) fn creation(&self) -> String {
        let [rows, due, stores] = self.tables();
        let [rows_index, due_index] =
            ["_outbox_text", "_outbox_due_text"].map(|suffix| identifier(&self.name(suffix)));
        // By hash: a text may be longer than what any other index takes. And the tables are emptied all the time.
        let often = "autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0";
        let tables = format!(
            "CREATE TABLE IF NOT EXISTS {rows} (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind smallint NOT NULL, text text COLLATE \"C\" NOT NULL
) WITH ({often});
CREATE INDEX IF NOT EXISTS {rows_index} ON {rows} USING hash (text);
CREATE TABLE IF NOT EXISTS {due} (
  store text, id bigint, kind smallint NOT NULL, text text COLLATE \"C\" NOT NULL, PRIMARY KEY (store, id)
) WITH ({often});
CREATE INDEX IF NOT EXISTS {due_index} ON {due} USING hash (text);
CREATE TABLE IF NOT EXISTS {stores} (
  store text PRIMARY KEY, claimed_by bigint NOT NULL, claimed_until timestamptz NOT NULL
) WITH ({often});"
        );
        let functions = self.creation_of_functions();
        let tag = (0..).map(|n| format!("$worksharing{n}$"));
        let mut tag = tag.filter(|tag| !functions.contains(tag));
        let tag = tag.next().unwrap_or_default();
        format!("{tables}\nDO {tag}{functions}{tag}")
    }

    /// They name the schema that the tables were made in, and look nowhere else. In PL/pgSQL: a function in SQL would be
    /// planned anew by each call, and take more than twice as long.
    fn creation_of_functions(&self) -> String {
        let rows = self.rows();
        let functions = FUNCTIONS.map(|(what, suffix)| {
            format!(
                "  EXECUTE format('CREATE OR REPLACE FUNCTION %I.%I(text) RETURNS void LANGUAGE plpgsql STRICT '
    'SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS %L', place, {name},
    format('BEGIN INSERT INTO %I.%I (kind, text) VALUES ({kind}, $1); END', place, {table}));",
                name = literal(&self.name(suffix)),
                kind = what.number(),
                table = literal(&self.name("_outbox")),
            )
        });
        format!(
            "
DECLARE place name;
BEGIN
  SELECT nspname INTO STRICT place FROM pg_namespace
    WHERE oid = (SELECT relnamespace FROM pg_class WHERE oid = {rows}::regclass);
{}
END
",
            functions.join("\n"),
            rows = literal(&rows),
        )
    }

    /// What a role of this name needs that is not the owner.
    pub(crate) fn grant(&self, role: &str) -> String {
        let [rows, due, stores] = self.tables();
        format!(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON {rows}, {due}, {stores} TO {}",
            quoted(role)
        )
    }
}

fn parts(table: &str) -> (Option<&str>, &str) {
    match table.split_once('.') {
        Some((schema, name)) => (Some(schema), name),
        None => (None, table),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A name with a suffix of ours, which is no word of SQL: quoted only where it must be.
fn identifier(name: &str) -> String {
    let is_plain = |byte: u8| byte == b'_' || byte.is_ascii_lowercase();
    let mut bytes = name.bytes();
    let begins = bytes.next().is_some_and(is_plain);
    if begins && bytes.all(|byte| is_plain(byte) || byte.is_ascii_digit()) {
        return name.to_owned();
    }
    quoted(name)
}

/// A string, whatever `standard_conforming_strings` is.
fn literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if doubled.contains('\\') {
        return format!("E'{}'", doubled.replace('\\', "\\\\"));
    }
    format!("'{doubled}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(table: &str, text: &str) -> String {
        Names::new(table).invalidate(text)
    }

    #[test]
    fn statements_are_quoted() {
        for (table, text, expected) in [
            (
                "worksharing",
                "report:2024",
                "SELECT worksharing_invalidate('report:2024')",
            ),
            ("w", "it's", "SELECT w_invalidate('it''s')"),
            ("w", r"a\'b", r"SELECT w_invalidate(E'a\\''b')"),
            ("cache.w", "", "SELECT \"cache\".w_invalidate('')"),
            ("My table", "a", "SELECT \"My table_invalidate\"('a')"),
            ("a\"b", "a", "SELECT \"a\"\"b_invalidate\"('a')"),
            ("1", "a", "SELECT \"1_invalidate\"('a')"),
        ] {
            assert_eq!(statement(table, text), expected);
        }
        let names = Names::new("worksharing");
        assert_eq!(
            names.invalidate_tag("user:7"),
            "SELECT worksharing_invalidate_tag('user:7')"
        );
    }

    #[test]
    fn a_table_whose_functions_would_be_cut_off_is_refused() {
        let longest = "x".repeat(LONGEST);
        Names::check(&longest).unwrap();
        Names::check(&format!("schema.{longest}")).unwrap();
        let error = Names::check(&format!("{longest}x")).unwrap_err();
        assert!(error.to_string().contains("up to 48 bytes"), "{error}");
    }
}
