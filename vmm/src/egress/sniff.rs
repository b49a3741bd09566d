//! What a guest says before its bytes leave.
//!
//! Owns: which bytes of a flow may go on, which wait until more is known, and
//! whether the name in them is the one that was allowed. Must not: do any
//! input or output, or hold back more than [`HELD`] bytes beyond one piece.
//!
//! A flow to an allowed **name** is held to it: the server name of a TLS hello,
//! and the host of every plain HTTP/1 request on the connection, must be that
//! name. What looks like either and cannot be read without doubt is a
//! difference too. A flow to a literal address has no name to differ from: what
//! it says is recorded, no more.
//!
//! Checked: the first hello, and one that follows because the server asked for
//! other keys; each request head, through bodies with a length and chunked
//! ones. Behind `Upgrade` and `CONNECT` the next bytes are looked at anew.
//! Not checked: requests inside TLS, HTTP/2 (in the clear it is refused), TLS
//! that begins within another protocol (STARTTLS), and protocols that are
//! neither.

mod http;
mod tls;

use belljar_event::{Fact, HttpRequest, Text, TlsHello};

/// Most bytes of a hello or a head.
const HELD: usize = 16 << 10;
/// Most bytes of a name, method or target that are recorded, and of a name in words.
const MAX_NAME: usize = 512;
const MAX_TARGET: usize = 4096;
const MAX_SHOWN: usize = 64;
/// Records behind the first hello that are looked at for a second one.
const MAX_RECORDS: u8 = 64;

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing, until more bytes come.
    More,
    /// These bytes may go on.
    Pass(Vec<u8>),
    /// This is to be recorded.
    Said(Fact),
    /// The flow must end.
    Refuse(Refusal),
}

/// Why a flow is ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Which check.
    pub(super) check: &'static str,
    /// In words. Parts of it are the guest's.
    pub(super) why: String,
}

const TLS: &str = "tls-name";
const HTTP: &str = "http-host";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing is known yet, or everything may have changed.
    Start,
    /// A hello, or one more.
    Hello,
    /// Behind a hello: so many records were seen.
    Records(u8),
    /// Rest of a record that is none of ours.
    Record(u64),
    /// A request's head. The first one may turn out to be something else.
    Head { first: bool },
    /// Rest of a body.
    Body(u64),
    /// First line of a chunk.
    Chunk,
    /// The line end behind a chunk's data.
    ChunkEnd,
    /// Rest of a chunk.
    ChunkData(u64),
    /// Lines behind the last chunk.
    Trailers,
    /// Nobody looks any more.
    Open,
    /// It was refused.
    Shut,
}

/// What comes behind something that was said.
#[derive(Debug)]
enum Then {
    /// So many bytes may go on.
    Pass(usize, State),
    /// It was not what was allowed.
    Refuse(Refusal),
}

/// One flow's outward bytes.
#[derive(Debug)]
pub(super) struct Sniffer {
    flow: u64,
    /// The name that was allowed.
    name: Option<String>,
    state: State,
    held: Vec<u8>,
    /// How many of these have gone on already.
    gone: usize,
    /// What comes behind what was said.
    then: Option<Then>,
    /// Records seen behind the hello.
    records: u8,
}

impl Sniffer {
    /// `name`: what was allowed, if it was a name.
    pub(super) fn new(flow: u64, name: Option<&str>) -> Self {
        Self {
            flow,
            name: name.map(str::to_owned),
            state: State::Start,
            held: Vec::new(),
            gone: 0,
            then: None,
            records: 0,
        }
    }

    /// Bytes from the guest.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// What to do now. Ask until there is [`Next::More`].
    pub(super) fn next(&mut self) -> Next {
        match self.then.take() {
            Some(Then::Pass(length, state)) => return self.pass_to(length, state),
            Some(Then::Refuse(refusal)) => return self.refuse(refusal),
            None => {}
        }
        loop {
            if self.held.is_empty() {
                return Next::More;
            }
            // Without something to do the state has changed.
            if let Some(next) = self.step() {
                return next;
            }
        }
    }

    /// True if bytes wait for others.
    pub(super) fn waits(&self) -> bool {
        self.held.len() > self.gone
    }

    /// The guest says nothing more for now. An unfinished first line may wait
    /// for an answer, and names no host yet: it may go on.
    pub(super) fn quiet(&mut self) -> Option<Vec<u8>> {
        let line = self.state == State::Head { first: true }
            && http::read(&self.held) == http::Read::Maybe;
        let waiting = self.held.get(self.gone..).unwrap_or_default().to_vec();
        (line && !waiting.is_empty()).then(|| {
            self.gone = self.held.len();
            waiting
        })
    }

    /// The guest says nothing more at all.
    pub(super) fn end(&mut self) -> Next {
        if let Some(waiting) = self.quiet() {
            return Next::Pass(waiting);
        }
        let check = match self.state {
            State::Hello => TLS,
            State::Head { .. } => HTTP,
            // The names were checked already.
            _ => return self.pass(self.held.len()),
        };
        if self.held.is_empty() {
            return Next::More;
        }
        self.doubt(check, "it ends in the middle of its beginning")
            .unwrap_or_else(|| self.pass(self.held.len()))
    }

    fn step(&mut self) -> Option<Next> {
        match self.state {
            State::Start => {
                self.state = match self.held.first() {
                    Some(&tls::HANDSHAKE) => State::Hello,
                    _ => State::Head { first: true },
                };
                None
            }
            State::Hello => self.hello(),
            State::Records(seen) => self.records(seen),
            State::Record(rest) => {
                Some(self.some(rest, State::Record, State::Records(self.records)))
            }
            State::Head { first } => self.head(first),
            State::Body(rest) => Some(self.some(rest, State::Body, State::Head { first: false })),
            State::Chunk => self.chunk(),
            State::ChunkData(rest) => Some(self.some(rest, State::ChunkData, State::ChunkEnd)),
            State::ChunkEnd => self.chunk_end(),
            State::Trailers => self.trailers(),
            State::Open => Some(self.pass(self.held.len())),
            State::Shut => {
                self.held.clear();
                Some(Next::More)
            }
        }
    }

    fn hello(&mut self) -> Option<Next> {
        let window = self.held.get(..HELD).unwrap_or(&self.held);
        match tls::read(window) {
            tls::Read::Partial if window.len() < HELD => Some(Next::More),
            tls::Read::Partial => self.doubt(TLS, "its TLS hello is too long"),
            tls::Read::Malformed => self.doubt(TLS, "its TLS hello cannot be read"),
            tls::Read::Other => self.open(),
            tls::Read::Hello(hello, used) => {
                let fact = TlsHello {
                    flow: self.flow,
                    name: hello
                        .name
                        .as_deref()
                        .map(|name| Text::capped(name, MAX_NAME)),
                    alpn: hello.alpn.iter().map(Text::new).collect(),
                    encrypted: hello.encrypted,
                };
                let then = match self.tls_differs(&hello) {
                    Some(refusal) => Then::Refuse(refusal),
                    None => Then::Pass(used, State::Records(self.records)),
                };
                self.said(fact.into(), then)
            }
        }
    }

    fn tls_differs(&self, hello: &tls::Hello) -> Option<Refusal> {
        let allowed = self.name.as_deref()?;
        let refuse = |why| Some(Refusal { check: TLS, why });
        match &hello.name {
            Some(name) if !same(name, allowed) => refuse(format!(
                "TLS name {} differs from the allowed name",
                shown(name)
            )),
            _ if hello.encrypted => refuse(
                "TLS name is encrypted and cannot be compared with the allowed name".to_owned(),
            ),
            _ => None,
        }
    }

    /// Behind a hello: the next record, and whether it is another hello.
    fn records(&mut self, seen: u8) -> Option<Next> {
        // A record's first bytes wait for the others: nobody sends less than a record.
        let Some((kind, length)) = tls::record_head(&self.held) else {
            return Some(Next::More);
        };
        self.records = seen.saturating_add(1);
        if self.records > MAX_RECORDS {
            return self.open();
        }
        if kind != tls::HANDSHAKE {
            // Early data and such may stand between the two.
            self.state = State::Record(length as u64);
            return None;
        }
        match tls::is_another(&self.held) {
            None => Some(Next::More),
            Some(false) => self.open(),
            Some(true) => {
                self.state = State::Hello;
                None
            }
        }
    }

    fn head(&mut self, first: bool) -> Option<Next> {
        let window = self.held.get(..HELD).unwrap_or(&self.held);
        match http::read(window) {
            http::Read::Maybe | http::Read::Partial if window.len() < HELD => Some(Next::More),
            http::Read::Maybe | http::Read::Partial => {
                self.doubt(HTTP, "its HTTP head is too long")
            }
            http::Read::Malformed => self.doubt(HTTP, "its HTTP head cannot be read without doubt"),
            http::Read::Other if first => self.open(),
            http::Read::Other => self.doubt(HTTP, "something else follows its HTTP requests"),
            http::Read::Head(head, used) => {
                let after = match head.body {
                    _ if head.switches => State::Start,
                    http::Body::None => State::Head { first: false },
                    http::Body::Length(length) => State::Body(length),
                    http::Body::Chunked => State::Chunk,
                };
                let host = head.authority.as_ref().or(head.host.as_ref());
                let fact = HttpRequest {
                    flow: self.flow,
                    method: Text::capped(&head.method, MAX_NAME),
                    target: Text::capped(&head.target, MAX_TARGET),
                    host: host.map(|host| Text::capped(host, MAX_NAME)),
                };
                let then = match self.http_differs(&head) {
                    Some(refusal) => Then::Refuse(refusal),
                    None => Then::Pass(used, after),
                };
                self.said(fact.into(), then)
            }
        }
    }

    fn http_differs(&self, head: &http::Head) -> Option<Refusal> {
        let allowed = self.name.as_deref()?;
        let refuse = |why| Some(Refusal { check: HTTP, why });
        if head.second {
            return refuse(
                "HTTP/2 in the clear cannot be compared with the allowed name".to_owned(),
            );
        }
        let said = [&head.authority, &head.host];
        let other = said
            .into_iter()
            .flatten()
            .find(|host| !same(bare(host), allowed))?;
        refuse(format!(
            "HTTP host {} differs from the allowed name",
            shown(other)
        ))
    }

    fn chunk(&mut self) -> Option<Next> {
        let Some(end) = self.held.iter().position(|byte| *byte == b'\n') else {
            return self.wait(HTTP, "its HTTP chunk's first line is too long");
        };
        let line = self
            .held
            .get(..end)
            .and_then(|line| line.strip_suffix(b"\r"));
        match line.and_then(http::chunk) {
            None => self.doubt(HTTP, "its HTTP chunk cannot be read"),
            Some(0) => Some(self.pass_to(end.saturating_add(1), State::Trailers)),
            Some(length) => Some(self.pass_to(end.saturating_add(1), State::ChunkData(length))),
        }
    }

    fn chunk_end(&mut self) -> Option<Next> {
        match self.held.first_chunk::<2>() {
            None if self.held == b"\r" => Some(Next::More),
            Some(b"\r\n") => Some(self.pass_to(2, State::Chunk)),
            _ => self.doubt(HTTP, "its HTTP chunk has no end"),
        }
    }

    fn trailers(&mut self) -> Option<Next> {
        let Some(end) = self.held.iter().position(|byte| *byte == b'\n') else {
            return self.wait(HTTP, "its HTTP trailer is too long");
        };
        let used = end.saturating_add(1);
        match self
            .held
            .get(..end)
            .and_then(|line| line.strip_suffix(b"\r"))
        {
            None => self.doubt(HTTP, "its HTTP trailer cannot be read"),
            Some(b"") => Some(self.pass_to(used, State::Head { first: false })),
            Some(_) => Some(self.pass_to(used, State::Trailers)),
        }
    }

    /// A line is not finished yet.
    fn wait(&mut self, check: &'static str, why: &str) -> Option<Next> {
        if self.held.len() < HELD {
            return Some(Next::More);
        }
        self.doubt(check, why)
    }

    /// What cannot be read is refused where there is a name to hold it to.
    /// `None`: where there is none, nobody looks any more.
    fn doubt(&mut self, check: &'static str, why: &str) -> Option<Next> {
        if self.name.is_none() {
            return self.open();
        }
        let why = format!("{why}: it cannot be compared with the allowed name");
        Some(self.refuse(Refusal { check, why }))
    }

    fn open(&mut self) -> Option<Next> {
        self.state = State::Open;
        None
    }

    fn said(&mut self, fact: Fact, then: Then) -> Option<Next> {
        self.then = Some(then);
        Some(Next::Said(fact))
    }

    fn refuse(&mut self, refusal: Refusal) -> Next {
        self.state = State::Shut;
        Next::Refuse(refusal)
    }

    /// Up to so many bytes, then another state.
    fn some(&mut self, rest: u64, more: fn(u64) -> State, then: State) -> Next {
        let length = usize::try_from(rest)
            .unwrap_or(usize::MAX)
            .min(self.held.len());
        let rest = rest.saturating_sub(length as u64);
        self.pass_to(length, if rest == 0 { then } else { more(rest) })
    }

    fn pass_to(&mut self, length: usize, state: State) -> Next {
        self.state = state;
        self.pass(length)
    }

    /// The first bytes go on, but for what has gone already.
    fn pass(&mut self, length: usize) -> Next {
        let length = length.min(self.held.len());
        let bytes: Vec<u8> = self.held.drain(..length).skip(self.gone).collect();
        self.gone = self.gone.saturating_sub(length);
        Next::Pass(bytes)
    }
}

/// Whether what was said is the allowed name.
fn same(said: &[u8], allowed: &str) -> bool {
    let plain = |name: &[u8]| name.strip_suffix(b".").unwrap_or(name).to_ascii_lowercase();
    !said.is_empty() && plain(said) == plain(allowed.as_bytes())
}

/// A host without its port.
fn bare(host: &[u8]) -> &[u8] {
    let Some(colon) = host.iter().rposition(|byte| *byte == b':') else {
        return host;
    };
    let (name, port) = host.split_at_checked(colon).unwrap_or((host, &[]));
    let digits = port.iter().skip(1).all(u8::is_ascii_digit);
    if digits { name } else { host }
}

/// A hostile name in words.
fn shown(name: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(name)
        .escape_debug()
        .take(MAX_SHOWN)
        .collect();
    if text.is_empty() {
        "(empty)".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests;
