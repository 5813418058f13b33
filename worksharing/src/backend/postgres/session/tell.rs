use ::postgres::types::Type;
use ::postgres::{Client, Error};

use super::prepared::Prepared;
use crate::backend::postgres::changes::{CHANNEL, payloads};
use crate::changes::Digest;

/// Tells other processes of changes.
pub(super) struct Teller(Option<Prepared>);

const TELL: &str = "SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload";
const TYPES: [Type; 2] = [Type::TEXT, Type::TEXT_ARRAY];

/// So many payloads go into one statement: some 8 MB.
const CHUNK: usize = 1_000;

impl Teller {
    /// For a session that is ours alone, or not.
    pub(super) fn new(own_session: bool) -> Self {
        Self(own_session.then(|| Prepared::new(TELL, &TYPES)))
    }

    pub(super) fn tell(&mut self, client: &mut Client, digests: Vec<Digest>) -> Result<(), Error> {
        for payloads in payloads(digests).chunks(CHUNK) {
            match &mut self.0 {
                Some(prepared) => prepared.query(client, &[&CHANNEL, &payloads])?,
                None => {
                    let [channel, texts] = TYPES;
                    client.query_typed(TELL, &[(&CHANNEL, channel), (&payloads, texts)])?
                }
            };
        }
        Ok(())
    }
}
