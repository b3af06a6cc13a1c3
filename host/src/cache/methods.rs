//! What methods other than GET do to stored responses: unsafe ones invalidate (RFC 9111 §4.4), HEAD updates (§4.3.5), and POST
//! may leave one behind (RFC 9110 §9.3.3).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use http::header::{CONTENT_LENGTH, CONTENT_LOCATION, ETAG, LAST_MODIFIED, LOCATION};
use http::{HeaderMap, HeaderName, Method, StatusCode};

use super::entry::Entry;
use super::fetch::Fetch;
use super::freshness::is_explicit;
use super::key::Key;
use super::status::Forward;
use super::{Cache, targeted};
use crate::config::CacheRules;
use crate::exchange::subject::Subject;

impl Cache {
    /// A request was answered with `subject.response`: removes what an unsafe method has changed (RFC 9111 §4.4).
    pub fn invalidate(&self, subject: &Subject) {
        let Some(response) = subject.response.as_ref() else {
            return;
        };
        // All methods that are not known to be safe are not (§4.4).
        let safe = [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE].contains(&subject.request.method);
        let successful = response.status.is_success() || response.status.is_redirection();
        if safe || !successful || self.store.limit() == 0 {
            return;
        }
        let key = Key::of(subject);
        self.store.invalidate(key.hash(&self.random), &key);
        for name in [LOCATION, CONTENT_LOCATION] {
            if let Some(target) = reference(&response.headers, &name, &key) {
                let key = key.with_target(&target);
                self.store.invalidate(key.hash(&self.random), &key);
            }
        }
    }

    /// A HEAD was answered by the origin with `subject.response`: the stored response to the GET is what the answer describes,
    /// and takes its fields, or it is not, and goes (RFC 9111 §4.3.5). `rules` are the route's.
    pub fn update_by_head(self: &Arc<Self>, subject: &Subject, rules: &CacheRules, now: SystemTime) {
        let Some(response) = subject.response.as_ref() else {
            return;
        };
        if subject.request.method != Method::HEAD || response.status != StatusCode::OK || self.store.limit() == 0 {
            return;
        }
        let key = Key::of(subject);
        let hash = key.hash(&self.random);
        let contents = self.store.lock(hash);
        let found = contents.peek(hash, &key, &subject.route, &subject.request.headers);
        let Some(entry) = found.filter(|entry| entry.status == StatusCode::OK).cloned() else {
            return;
        };
        let fetch = self.new_fetch(subject, &key, hash, &contents, now);
        drop(contents);
        let updated = describes(&response.headers, &entry) && fetch.refresh(&entry, response, rules, now).is_some();
        if updated {
            self.store.counts.revalidated.fetch_add(1, Ordering::Relaxed);
        } else {
            self.store.remove(&fetch.place, &entry);
        }
    }

    /// A POST was answered with `subject.response`: what stores it for later GETs, if it says for how long and that it is the
    /// content of this very URI (RFC 9110 §9.3.3).
    #[must_use]
    pub fn adopt_post(self: &Arc<Self>, subject: &Subject, rules: &CacheRules, now: SystemTime) -> Option<Box<Fetch>> {
        let response = subject.response.as_ref()?;
        if subject.request.method != Method::POST || response.status != StatusCode::OK || self.store.limit() == 0 {
            return None;
        }
        let key = Key::of(subject);
        if reference(&response.headers, &CONTENT_LOCATION, &key)? != key.target() {
            return None;
        }
        if !is_explicit(
            &response.headers,
            &targeted::directives(&response.headers, &rules.targeted),
        ) {
            return None;
        }
        let hash = key.hash(&self.random);
        let contents = self.store.lock(hash);
        Some(Box::new(Fetch {
            reason: Forward::Method,
            ..self.new_fetch(subject, &key, hash, &contents, now)
        }))
    }
}

/// The target that a field refers to, where it is on the server of `key`.
fn reference(headers: &HeaderMap, name: &HeaderName, key: &Key<'_>) -> Option<Vec<u8>> {
    key.resolve(headers.get(name)?.to_str().ok()?)
}

/// Whether an answer to HEAD is about a stored response: no validator and no length that it has is another.
fn describes(head: &HeaderMap, stored: &Entry) -> bool {
    let same = |name: HeaderName| {
        head.get(&name)
            .is_none_or(|value| stored.head.get(&name) == Some(value.as_bytes()))
    };
    let length = head.get(CONTENT_LENGTH).is_none_or(|length| {
        let length = length
            .to_str()
            .ok()
            .and_then(|length| length.trim().parse::<u64>().ok());
        length.is_some() && length == stored.body.length()
    });
    same(ETAG) && same(LAST_MODIFIED) && length
}
