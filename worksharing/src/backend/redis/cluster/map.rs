//! Which node of a cluster has which keys.

use std::collections::HashMap;
use std::sync::Arc;

use crc::{CRC_16_XMODEM, Crc};

/// Keys are spread over so many slots.
const SLOTS: u16 = 16_384;

/// Where a node is: `host:port`.
pub(super) type Place = Arc<str>;

/// What one node knows of all.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Map {
    /// First and last slot, and the primary that has them; by the first.
    slots: Vec<(u16, u16, Place)>,
    /// Replicas, too.
    pub(super) nodes: Vec<Place>,
    /// Where nodes are that are called by their names.
    names: HashMap<Place, Place>,
}

/// The slot of a key: of the part in braces, if there is one.
/// <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags>
pub(super) fn slot(key: &str) -> u16 {
    const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);
    let tag = key
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'))
        .map(|(tag, _)| tag)
        .filter(|tag| !tag.is_empty());
    CRC.checksum(tag.unwrap_or(key).as_bytes()) % SLOTS
}

impl Map {
    /// Reads the answer to `CLUSTER NODES`, which this node gave:
    /// `id ip:port@bus,host flags primary ping pong epoch state slot first-last [slot-<-id]`. With TLS nodes are called by
    /// their host names, where they have any: certificates are about those.
    pub(super) fn parse(text: &str, from: &Place, by_name: bool) -> Self {
        let mut map = Self::default();
        for line in text.lines() {
            map.add(line, from, by_name);
        }
        map.slots.sort_by_key(|(first, ..)| *first);
        map
    }

    fn add(&mut self, line: &str, from: &Place, by_name: bool) -> Option<()> {
        let mut words = line.split(' ');
        let (address, flags) = (words.nth(1)?, words.next()?);
        let has = |flag| flags.split(',').any(|found| found == flag);
        if has("noaddr") || has("handshake") {
            return None;
        }
        let place = self.named(address, from, by_name)?;
        if !has("fail") {
            self.nodes.push(Arc::clone(&place));
        }
        if has("master") {
            let ranges = words.skip(5).filter_map(range);
            self.slots
                .extend(ranges.map(|(first, last)| (first, last, Arc::clone(&place))));
        }
        Some(())
    }

    fn named(&mut self, address: &str, from: &Place, by_name: bool) -> Option<Place> {
        let named = place(address, from, by_name)?;
        if by_name {
            let by_address = place(address, from, false)?;
            self.names.insert(by_address, Arc::clone(&named));
        }
        Some(named)
    }

    /// What a redirection names, which may leave out the host of who gives it. It may be an address where nodes are called
    /// by their names.
    pub(super) fn redirected(&self, address: &str, from: &Place) -> Option<Place> {
        let place = place(address, from, false)?;
        Some(self.names.get(&place).cloned().unwrap_or(place))
    }

    /// Who has a slot.
    pub(super) fn primary(&self, slot: u16) -> Option<&Place> {
        let behind = self.slots.partition_point(|(first, ..)| *first <= slot);
        let (_, last, place) = self.slots.get(behind.checked_sub(1)?)?;
        (slot <= *last).then_some(place)
    }

    /// All who have slots, each once.
    pub(super) fn primaries(&self) -> Vec<Place> {
        let mut places: Vec<_> = self.slots.iter().map(|(.., place)| place.clone()).collect();
        places.sort();
        places.dedup();
        places
    }

    /// One slot has been given to another node.
    pub(super) fn give(&mut self, slot: u16, to: Place) {
        let behind = self.slots.partition_point(|(first, ..)| *first <= slot);
        if let Some(at) = behind.checked_sub(1) {
            let (first, last, place) = self.slots[at].clone();
            if slot <= last {
                let parts = [(first, slot, 0, 1), (slot, last, 1, 0)];
                let rest = parts.into_iter().filter_map(|(first, last, more, less)| {
                    let (first, last) = (first + more, last.checked_sub(less)?);
                    (first <= last).then(|| (first, last, Arc::clone(&place)))
                });
                self.slots.splice(at..=at, rest.collect::<Vec<_>>());
            }
        }
        let at = self.slots.partition_point(|(first, ..)| *first < slot);
        self.slots.insert(at, (slot, slot, to));
    }

    /// A slot that nobody has.
    pub(super) fn gap(&self) -> Option<u16> {
        (0..SLOTS).find(|slot| self.primary(*slot).is_none())
    }
}

/// `ip:port@bus,host` → `ip:port`. A node that has met no other does not know its own address: it is where it was asked.
fn place(address: &str, from: &Place, by_name: bool) -> Option<Place> {
    let (address, rest) = address.split_once('@').unwrap_or((address, ""));
    let name = rest.split(',').nth(1).unwrap_or_default();
    let (host, port) = address.rsplit_once(':')?;
    let host = match (by_name && !name.is_empty(), host.is_empty()) {
        (true, _) => name,
        (false, true) => from.rsplit_once(':')?.0,
        (false, false) => host,
    };
    Some(format!("{host}:{port}").into())
}

fn range(word: &str) -> Option<(u16, u16)> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let slot = |text: &str| text.parse().ok().filter(|slot| *slot < SLOTS);
    Some((slot(first)?, slot(last)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    const NODES: &str = "\
a1 127.0.0.1:7001@17001,one.example master - 0 1 2 connected 0-5460 5470 [93-<-a2]
a2 127.0.0.1:7002@17002,two.example myself,master - 0 1 3 connected 5461-5469 5471-10922
a3 :7003@17003 slave a1 0 1 2 connected
a4 127.0.0.1:7004@17004 master,fail - 0 1 2 disconnected
a5 ::1:7005@17005 master - 0 1 2 connected 10923-16382
a6 :0@0 master,noaddr - 0 1 2 disconnected 16383
";

    fn map(by_name: bool) -> Map {
        Map::parse(NODES, &"10.0.0.9:7003".into(), by_name)
    }

    #[test]
    fn a_map_is_read() {
        let map = map(false);
        for (slot, place) in [
            (0, Some("127.0.0.1:7001")),
            (5_460, Some("127.0.0.1:7001")),
            (5_461, Some("127.0.0.1:7002")),
            (5_470, Some("127.0.0.1:7001")),
            (10_923, Some("::1:7005")),
            (16_383, None),
        ] {
            assert_eq!(map.primary(slot).map(|place| &**place), place, "{slot}");
        }
        let nodes: Vec<&str> = map.nodes.iter().map(|node| &**node).collect();
        assert_eq!(
            nodes,
            [
                "127.0.0.1:7001",
                "127.0.0.1:7002",
                "10.0.0.9:7003",
                "::1:7005"
            ]
        );
        assert_eq!(map.primaries().len(), 3);
        assert_eq!(map.gap(), Some(16_383));
        assert_eq!(
            self::map(true).primary(0).unwrap().as_ref(),
            "one.example:7001"
        );
    }

    #[test]
    fn a_redirection_to_an_address_is_one_to_the_name_of_its_node() {
        let from = "one.example:7001".into();
        for (by_name, address, place) in [
            (true, "127.0.0.1:7002", "two.example:7002"),
            (true, "two.example:7002", "two.example:7002"),
            (true, "127.0.0.1:9", "127.0.0.1:9"),
            (true, ":7009", "one.example:7009"),
            (false, "127.0.0.1:7002", "127.0.0.1:7002"),
        ] {
            let found = map(by_name).redirected(address, &from);
            assert_eq!(found.as_deref(), Some(place), "{address}");
        }
    }

    #[test]
    fn one_slot_is_given_away() {
        for slot in [0, 1, 5_459, 5_460, 5_470, 16_383] {
            let mut given = map(false);
            given.give(slot, "new:1".into());
            let before = map(false);
            for other in 0..SLOTS {
                let expected = match other == slot {
                    true => "new:1",
                    false => before.primary(other).map_or("", |place| place),
                };
                let found = given.primary(other).map_or("", |place| place);
                assert_eq!(found, expected, "{other} of {slot}");
            }
        }
    }

    #[test]
    fn any_text_is_survived() {
        for text in [
            "",
            "\n",
            "a",
            "a b c",
            "a :@ master",
            "a b:1 master 1 2 3 4 5 x-y 9-99999",
        ] {
            assert_eq!(
                Map::parse(text, &"h:1".into(), true).gap(),
                Some(0),
                "{text}"
            );
        }
    }

    /// As `CLUSTER KEYSLOT` of a real server says.
    #[test]
    fn slots_are_those_of_the_server() {
        let key = Key::new("report:2024:DE");
        let by_hand =
            |text: &str| Crc::<u16>::new(&CRC_16_XMODEM).checksum(text.as_bytes()) % SLOTS;
        let text: String = key
            .digest()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            by_hand("123456789"),
            0x31c3,
            "the value that the specification gives"
        );
        assert_eq!(slot(&key.hex_after("ws:")), by_hand(&format!("ws:{text}")));
        assert_eq!(slot(&key.hex_after("{shop}:")), by_hand("shop"));
        assert_eq!(
            slot(&key.hex_after("{}:")),
            by_hand(&format!("{{}}:{text}"))
        );
    }
}
