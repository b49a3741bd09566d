//! The heads of HTTP/1 requests.
//!
//! Owns: reading a request's head and how its body is framed. Must not: be
//! lenient. What two servers could read differently (bare line ends, folded
//! lines, two framings) is malformed: a request that is checked in one reading
//! and served in another would not be checked.

/// A method is a word of letters; longer ones are something else.
const MAX_METHOD: usize = 24;
const END: &[u8] = b"\r\n\r\n";

/// One request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) method: Vec<u8>,
    pub(super) target: Vec<u8>,
    /// `Host`.
    pub(super) host: Option<Vec<u8>>,
    /// The host inside the target, where it has one; it outranks `host`.
    pub(super) authority: Option<Vec<u8>>,
    pub(super) body: Body,
    /// Something other than HTTP/1 may follow.
    pub(super) switches: bool,
    /// HTTP/2, whose requests cannot be read here, is to follow.
    pub(super) second: bool,
}

/// How a body ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Body {
    /// There is none.
    #[default]
    None,
    /// After so many bytes.
    Length(u64),
    /// Each piece says.
    Chunked,
}

/// What the bytes so far are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// Nothing speaks against a request, nor for one: the first line has no end yet.
    Maybe,
    /// The beginning of a request.
    Partial,
    /// A head, and how many bytes it takes.
    Head(Head, usize),
    /// Not HTTP/1.
    Other,
    /// HTTP/1, but no head that everybody reads alike.
    Malformed,
}

/// Reads a head from the beginning of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Read {
    // Empty lines before a request are to be ignored, so servers do.
    let skipped = bytes
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .count();
    let text = bytes.get(skipped..).unwrap_or_default();
    match method(text) {
        Some(true) => {}
        Some(false) => return Read::Other,
        None => return Read::Maybe,
    }
    let Some(line) = text.split_inclusive(|byte| *byte == b'\n').next() else {
        return Read::Maybe;
    };
    match (line.ends_with(b"\n"), contains_http(line)) {
        (false, _) => return Read::Maybe,
        (true, false) => return Read::Other,
        (true, true) => {}
    }
    let Some(end) = text.windows(END.len()).position(|part| part == END) else {
        return Read::Partial;
    };
    // The last line keeps its end.
    let head = text.get(..end + 2).unwrap_or_default();
    let used = skipped + end + END.len();
    parse(head).map_or(Read::Malformed, |head| Read::Head(head, used))
}

/// Whether the text begins with a word of letters and a space; `None`: too short to tell.
fn method(text: &[u8]) -> Option<bool> {
    let word = text
        .iter()
        .take_while(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_'))
        .count();
    match text.get(word) {
        _ if word > MAX_METHOD => Some(false),
        None => None,
        Some(next) => Some(word > 0 && matches!(next, b' ' | b'\t')),
    }
}

fn contains_http(line: &[u8]) -> bool {
    line.windows(5)
        .any(|part| part.eq_ignore_ascii_case(b"HTTP/"))
}

/// `None`: not what everybody reads alike.
fn parse(head: &[u8]) -> Option<Head> {
    let mut lines = head
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r\n"));
    let mut read = request_line(lines.next()??)?;
    let mut framing = Framing::default();
    for line in lines {
        header(line?, &mut read, &mut framing)?;
    }
    read.body = framing.body()?;
    read.switches |= read.method.eq_ignore_ascii_case(b"CONNECT");
    // Where such a body ends would be a guess.
    (!read.switches || read.body == Body::None).then_some(read)
}

fn request_line(line: &[u8]) -> Option<Head> {
    let mut words = line.split(|byte| *byte == b' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let plain = |byte: &u8| *byte > b' ' && *byte != 0x7f;
    if words.next().is_some() || target.is_empty() || !target.iter().all(plain) {
        return None;
    }
    let second = version == b"HTTP/2.0" && method == b"PRI";
    if !second && !matches!(version, b"HTTP/1.0" | b"HTTP/1.1") {
        return None;
    }
    Some(Head {
        method: method.to_vec(),
        target: target.to_vec(),
        authority: authority(method, target),
        second,
        ..Head::default()
    })
}

/// The host in `http://host/path` and in `CONNECT host:port`.
fn authority(method: &[u8], target: &[u8]) -> Option<Vec<u8>> {
    if method.eq_ignore_ascii_case(b"CONNECT") {
        return Some(target.to_vec());
    }
    // A path is no URL, whatever it holds.
    if matches!(target.first(), Some(b'/' | b'*')) {
        return None;
    }
    let start = target.windows(3).position(|part| part == b"://")? + 3;
    let rest = target.get(start..)?;
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b'#' | b'\\'));
    Some(rest.get(..end.unwrap_or(rest.len()))?.to_vec())
}

/// What headers say of the body.
#[derive(Default)]
struct Framing {
    length: Option<u64>,
    chunked: bool,
}

impl Framing {
    fn body(&self) -> Option<Body> {
        match (self.length, self.chunked) {
            (Some(_), true) => None,
            (None, true) => Some(Body::Chunked),
            (None | Some(0), false) => Some(Body::None),
            (Some(length), false) => Some(Body::Length(length)),
        }
    }
}

fn header(line: &[u8], head: &mut Head, framing: &mut Framing) -> Option<()> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?.trim_ascii());
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    // A folded line begins with a space, which is no name.
    if name.is_empty() || !name.iter().all(token) {
        return None;
    }
    let plain = |byte: &u8| matches!(byte, b'\t') || (*byte >= b' ' && *byte != 0x7f);
    if !value.iter().all(plain) {
        return None;
    }
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    if is("host") {
        // Two of them are forbidden.
        return head.host.replace(value.to_vec()).is_none().then_some(());
    }
    if is("content-length") {
        let digits = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
        let number = std::str::from_utf8(value).ok().filter(|_| digits)?;
        let number = number.parse().ok()?;
        let same = framing
            .length
            .replace(number)
            .is_none_or(|old| old == number);
        return same.then_some(());
    }
    if is("transfer-encoding") {
        let known = value.eq_ignore_ascii_case(b"chunked") && !framing.chunked;
        framing.chunked = true;
        return known.then_some(());
    }
    if is("upgrade") {
        head.switches = true;
        let words = value.split(|byte| matches!(byte, b',' | b' ' | b'/'));
        head.second |= words
            .into_iter()
            .any(|word| word.eq_ignore_ascii_case(b"h2c"));
    }
    Some(())
}

/// The length in a chunk's first line (without its line end); `None`: not one.
pub(super) fn chunk(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
    let (number, rest) = line.split_at_checked(digits.count())?;
    let fits = (1..=15).contains(&number.len());
    let ends = rest.is_empty() || rest.starts_with(b";");
    let plain = rest
        .iter()
        .all(|byte| (b' '..0x7f).contains(byte) || *byte == b'\t');
    let number = std::str::from_utf8(number).ok()?;
    (fits && ends && plain).then(|| u64::from_str_radix(number, 16).ok())?
}
