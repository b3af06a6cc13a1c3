//! What the disk keeps of a stored response besides its body, and a stored response made of it again.
//!
//! Neither the policy nor the variant is written down, only what they were made of: fields, times, and what the request said in
//! the fields that the response varies on. So the rules that are configured when it is read decide what may be done with it. What
//! a plugin decided about its lifetime is written down, as nobody else can tell.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::AGE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::body::Body;
use super::directives;
use super::disk::Damaged;
use super::entry::{Entry, Marks};
use super::head::Head as StoredHead;
use super::policy::{self, Asked};
use super::slices::Layout;
use super::variant::Variant;
use crate::config::{CacheRules, SetCookie};

/// The first byte of every head; another one is another layout.
const LAYOUT: u8 = 3;

/// No plugin has decided the lifetime.
const UNDECIDED: u64 = u64::MAX;

/// The body is in the file.
const UNSLICED: [u64; 3] = [0; 3];

/// What tells a response from the others of its URI, as a number that is the same in every process.
pub(super) fn variant(entry: &Entry) -> u64 {
    let mut hasher = blake3::Hasher::new();
    let mut add = |part: &[u8]| {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    };
    add(entry.route.as_bytes());
    for (name, value) in &entry.variant.asked() {
        add(name.as_str().as_bytes());
        add(value.as_bytes());
    }
    let mut eight = [0; 8];
    for (to, from) in eight.iter_mut().zip(hasher.finalize().as_bytes()) {
        *to = *from;
    }
    u64::from_le_bytes(eight)
}

/// A head for the disk. `bans` is whose numbers its bans have ([`Bans::identity`](super::bans::Bans::identity)).
pub(super) fn encode(key: &[u8], entry: &Entry, bans: u64, now: SystemTime) -> Vec<u8> {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut head = vec![LAYOUT];
    head.extend_from_slice(&entry.status.as_u16().to_le_bytes());
    head.extend_from_slice(&since.as_secs().to_le_bytes());
    head.extend_from_slice(&since.subsec_nanos().to_le_bytes());
    head.extend_from_slice(&entry.policy.freshness.age(now).as_secs().to_le_bytes());
    head.extend_from_slice(&bans.to_le_bytes());
    head.extend_from_slice(&entry.marks.tested().to_le_bytes());
    let decided = entry.policy.decided.get().map_or(UNDECIDED, u64::from);
    head.extend_from_slice(&decided.to_le_bytes());
    let sliced = match &entry.body {
        Body::Sliced(layout) => layout.to_words(),
        _ => UNSLICED,
    };
    for word in sliced {
        head.extend_from_slice(&word.to_le_bytes());
    }
    put(&mut head, key);
    put(&mut head, entry.route.as_bytes());
    let asked = entry.variant.asked();
    head.extend_from_slice(&(asked.len() as u32).to_le_bytes());
    for (name, value) in &asked {
        put(&mut head, name.as_str().as_bytes());
        put(&mut head, value.as_bytes());
    }
    head.extend_from_slice(&(entry.head.fields().count() as u32).to_le_bytes());
    for (name, value) in entry.head.fields() {
        put(&mut head, name);
        put(&mut head, value);
    }
    head
}

fn put(head: &mut Vec<u8>, bytes: &[u8]) {
    head.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    head.extend_from_slice(bytes);
}

/// A head as it was read. It has been checked for damage, and is read as if it had not.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) key: Box<[u8]>,
    pub(super) route: Box<str>,
    status: StatusCode,
    pub(super) stored: SystemTime,
    age: u64,
    pub(super) tested: u64,
    /// Seconds of freshness, where a plugin has decided it.
    decided: Option<u32>,
    /// Where its slices are, where the file has no body.
    sliced: Option<Layout>,
    /// What the request said in the fields that the response varies on.
    asked: HeaderMap,
    headers: HeaderMap,
}

/// Reads a head. `bans` is whose numbers the bans of this process have.
pub(super) fn decode(head: &[u8], bans: u64) -> Result<Head, Damaged> {
    let mut rest = head.strip_prefix(&[LAYOUT]).ok_or(Damaged)?;
    let rest = &mut rest;
    let status = StatusCode::from_u16(u16::from_le_bytes(take(rest)?)).map_err(|_| Damaged)?;
    let (seconds, nanos) = (u64::from_le_bytes(take(rest)?), u32::from_le_bytes(take(rest)?));
    let age = u64::from_le_bytes(take(rest)?);
    let own = u64::from_le_bytes(take(rest)?) == bans;
    let tested = u64::from_le_bytes(take(rest)?);
    let decided = u64::from_le_bytes(take(rest)?);
    let sliced = [
        u64::from_le_bytes(take(rest)?),
        u64::from_le_bytes(take(rest)?),
        u64::from_le_bytes(take(rest)?),
    ];
    let since = Duration::from_secs(seconds).checked_add(Duration::from_nanos(nanos.into()));
    Ok(Head {
        key: bytes(rest)?.into(),
        route: std::str::from_utf8(bytes(rest)?).map_err(|_| Damaged)?.into(),
        status,
        stored: since.and_then(|since| UNIX_EPOCH.checked_add(since)).ok_or(Damaged)?,
        age,
        // What was stored when there was another list is older than all bans of this one.
        tested: if own { tested } else { 0 },
        decided: u32::try_from(decided).ok(),
        sliced: match sliced {
            UNSLICED => None,
            words => Some(Layout::from_words(words).ok_or(Damaged)?),
        },
        asked: fields(rest)?,
        headers: fields(rest)?,
    })
}

impl Head {
    /// The stored response without its body, for those who judge it by its head: by rules that let anything be stored, as those
    /// of its route are not at hand.
    pub(super) fn into_bodiless(self) -> Option<Entry> {
        let day = Duration::from_secs(24 * 3600);
        let rules = CacheRules {
            lifetime: day,
            negative: day,
            set_cookie: SetCookie::Store,
            ..CacheRules::default()
        };
        self.into_entry(Body::Memory(Bytes::new()), &rules)
    }

    /// The stored response, if it may still be stored by these rules. `body` is what the file has.
    pub(super) fn into_entry(mut self, body: Body, rules: &CacheRules) -> Option<Entry> {
        let variant = Variant::new(&self.asked, &self.headers, &rules.normalise)?;
        let asked = Asked {
            control: directives::Request::default(),
            authorized: false,
            lifetime: self.decided,
        };
        // As if it had just come, as old as it was then.
        self.headers.insert(AGE, HeaderValue::from(self.age));
        let times = (self.stored, self.stored);
        let policy = policy::store(asked, self.status, &self.headers, rules, times).ok()?;
        Some(Entry {
            status: self.status,
            head: StoredHead::of(&self.headers, self.stored),
            body: self.sliced.map_or(body, |layout| Body::Sliced(Arc::new(layout))),
            policy,
            variant,
            route: Arc::from(self.route),
            marks: Marks::new(self.tested),
        })
    }
}

fn fields(rest: &mut &[u8]) -> Result<HeaderMap, Damaged> {
    let count = u32::from_le_bytes(take(rest)?);
    let mut fields = HeaderMap::new();
    for _ in 0..count {
        let name = HeaderName::from_bytes(bytes(rest)?).map_err(|_| Damaged)?;
        let value = HeaderValue::from_bytes(bytes(rest)?).map_err(|_| Damaged)?;
        fields.try_append(name, value).map_err(|_| Damaged)?;
    }
    Ok(fields)
}

fn bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Damaged> {
    let length = u32::from_le_bytes(take(rest)?) as usize;
    let (bytes, after) = rest.split_at_checked(length).ok_or(Damaged)?;
    *rest = after;
    Ok(bytes)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Damaged> {
    let (taken, after) = rest.split_first_chunk::<N>().ok_or(Damaged)?;
    *rest = after;
    Ok(*taken)
}
