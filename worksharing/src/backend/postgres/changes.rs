//! Changes of keys, told to other processes and heard of from them: notifications on a channel of their own.

use super::Server;
use super::session::Ask;
use crate::changes::{Changes, Digest};
use crate::{BoxFuture, Error};

/// Where changes are told. Of each database its own, and of all its runtimes: what changed for one of them is changed for
/// nobody else, but it may be heard by all.
pub(super) const CHANNEL: &str = "worksharing_changes";

/// What a payload of this form begins with. Others are passed over.
const FORM: char = '1';
/// A payload has less than 8,000 bytes.
const IN_ONE: usize = 200;
const DIGITS: usize = 32;

impl Changes for Server {
    fn tell(&self, digests: &[Digest]) -> BoxFuture<'_, Result<(), Error>> {
        let ask = Ask::Tell(digests.to_vec());
        Box::pin(async move { self.session.answer(ask, false).await.map(drop) })
    }

    fn listen(&self) {
        let session = self.session.protocol();
        if session.may_hear() {
            self.session.start();
            session.listen();
        }
    }
}

/// The digests as payloads: each once, many in one.
pub(super) fn payloads(mut digests: Vec<Digest>) -> Vec<String> {
    digests.sort_unstable();
    digests.dedup();
    digests.chunks(IN_ONE).map(payload).collect()
}

fn payload(digests: &[Digest]) -> String {
    let mut payload = String::with_capacity(1 + DIGITS * digests.len());
    payload.push(FORM);
    for digest in digests {
        crate::key::push_hex(&mut payload, digest);
    }
    payload
}

/// The digests in a payload; none, if it is not ours.
pub(super) fn digests(payload: &str) -> Option<Vec<Digest>> {
    let digits = payload.strip_prefix(FORM)?.as_bytes();
    let digests = digits.chunks(DIGITS).map(digest);
    digests.collect()
}

fn digest(digits: &[u8]) -> Option<Digest> {
    let digits = std::str::from_utf8(digits).ok()?;
    let is_hex = digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let number = u128::from_str_radix(digits, 16).ok().filter(|_| is_hex)?;
    Some(number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_go_many_in_one_payload() {
        let all: Vec<Digest> = (0..450_u128).map(u128::to_be_bytes).collect();
        let mut twice = all.clone();
        twice.extend(&all);
        let payloads = payloads(twice);
        assert_eq!(payloads.len(), 3);
        assert!(payloads.iter().all(|payload| payload.len() < 8_000));
        let heard: Vec<Digest> = payloads
            .iter()
            .flat_map(|payload| digests(payload).unwrap())
            .collect();
        assert_eq!(heard, all);
    }

    #[test]
    fn payloads_of_others_are_passed_over() {
        let ours = payload(&[[0xab; 16]]);
        assert_eq!(digests(&ours), Some(vec![[0xab; 16]]));
        let signed = format!("1+{}", "0".repeat(31));
        for other in [
            "",
            "hello",
            "1x",
            "2",
            &ours[..32],
            &format!("{ours}0"),
            &signed,
        ] {
            assert_eq!(digests(other), None, "{other:?}");
        }
    }
}
