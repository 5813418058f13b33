//! Requests and answers on a connection, counted.

/// What is spoken there.
#[derive(Clone, Copy, Debug)]
pub enum Protocol {
    /// That of PostgreSQL.
    Postgres,
    /// RESP.
    Redis,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Dialogue {
    protocol: Protocol,
    has_begun: bool,
    bare_answers: usize,
    requests: Vec<u8>,
    answers: Vec<u8>,
    unanswered: usize,
}

impl Dialogue {
    pub(crate) fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            has_begun: matches!(protocol, Protocol::Redis),
            bare_answers: 0,
            requests: Vec::new(),
            answers: Vec::new(),
            unanswered: 0,
        }
    }

    /// The client sends something. Whether that begins a round trip: everything before it is answered.
    pub(crate) fn asks(&mut self, bytes: &[u8]) -> bool {
        let begins = self.unanswered == 0 && self.requests.is_empty();
        self.requests.extend_from_slice(bytes);
        while !self.has_begun {
            // What comes first of PostgreSQL has no type; nor has the answer to a wish for TLS.
            let Some(first) = cut(&mut self.requests, |bytes| frame(bytes, 0)) else {
                return begins;
            };
            self.has_begun = first.len() > 8;
            self.bare_answers += usize::from(first.len() == 8);
        }
        let length = |bytes: &[u8]| message(self.protocol, bytes);
        while let Some(asked) = cut(&mut self.requests, length) {
            let is_one = match self.protocol {
                Protocol::Postgres => matches!(asked[0], b'Q' | b'S'),
                Protocol::Redis => true,
            };
            self.unanswered += usize::from(is_one);
        }
        begins
    }

    pub(crate) fn answers(&mut self, bytes: &[u8]) {
        self.answers.extend_from_slice(bytes);
        let bare = self.bare_answers.min(self.answers.len());
        self.answers.drain(..bare);
        self.bare_answers -= bare;
        let length = |bytes: &[u8]| message(self.protocol, bytes);
        while let Some(answer) = cut(&mut self.answers, length) {
            let is_one = match self.protocol {
                Protocol::Postgres => answer[0] == b'Z',
                Protocol::Redis => answer[0] != b'>',
            };
            self.unanswered = self.unanswered.saturating_sub(usize::from(is_one));
        }
    }
}

/// Takes out what is complete.
fn cut(bytes: &mut Vec<u8>, length: impl Fn(&[u8]) -> Option<usize>) -> Option<Vec<u8>> {
    let length = length(bytes)?;
    (length <= bytes.len()).then(|| bytes.drain(..length).collect())
}

/// How long the first message is, if that can be seen.
fn message(protocol: Protocol, bytes: &[u8]) -> Option<usize> {
    match protocol {
        Protocol::Postgres => frame(bytes, 1),
        Protocol::Redis => resp(bytes),
    }
}

/// A message of PostgreSQL tells its length behind its type.
fn frame(bytes: &[u8], at: usize) -> Option<usize> {
    let length = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(at + u32::from_be_bytes(length) as usize)
}

/// One of Redis is complete once all of its parts are.
fn resp(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")? + 2;
    let number = || {
        std::str::from_utf8(&bytes[1..end - 2])
            .ok()?
            .parse::<i64>()
            .ok()
    };
    let parts = match bytes[0] {
        b'$' | b'=' | b'!' => {
            let length = usize::try_from(number()?).map_or(0, |length| length + 2);
            return Some(end + length).filter(|end| *end <= bytes.len());
        }
        b'*' | b'~' | b'>' => number()?,
        b'%' => 2 * number()?,
        _ => 0,
    };
    (0..parts).try_fold(end, |end, _| Some(end + resp(&bytes[end..])?))
}
