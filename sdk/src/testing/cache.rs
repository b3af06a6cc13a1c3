//! What the plugin under test had the cache do.

use std::time::Duration;

use super::Host;
use super::host::Phase;
use crate::contract::{self, EditError};

/// What an exchange's plugin had the cache do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caching {
    /// Whether the cache has nothing to do with the exchange.
    pub bypass: bool,
    /// What stands for path and query in the key, where the plugin said so.
    pub key: Option<Vec<u8>>,
    /// How long the response is fresh, where the plugin said so.
    pub lifetime: Option<Duration>,
    /// Tags besides those of the response.
    pub tags: Vec<Vec<u8>>,
}

impl Host {
    pub(crate) fn bypass_cache(&mut self) -> Result<(), EditError> {
        self.request_or_response()?;
        self.caching.bypass = true;
        Ok(())
    }

    pub(crate) fn set_cache_key(&mut self, key: &[u8]) -> Result<(), EditError> {
        if self.phase != Phase::Request {
            return Err(EditError::TooLate);
        }
        contract::check_target(key)?;
        self.caching.key = Some(key.to_vec());
        Ok(())
    }

    pub(crate) fn set_cache_lifetime(&mut self, seconds: u32) -> Result<(), EditError> {
        if self.phase != Phase::Response {
            return Err(EditError::TooLate);
        }
        self.caching.lifetime = Some(Duration::from_secs(seconds.into()));
        Ok(())
    }

    pub(crate) fn add_cache_tag(&mut self, tag: &[u8]) -> Result<(), EditError> {
        self.request_or_response()?;
        contract::check_cache_tag(tag)?;
        if self.caching.tags.len() >= contract::CACHE_TAGS {
            return Err(EditError::InvalidValue);
        }
        self.caching.tags.push(tag.to_vec());
        Ok(())
    }

    fn request_or_response(&self) -> Result<(), EditError> {
        match self.phase {
            Phase::Request | Phase::Response => Ok(()),
            Phase::Configure | Phase::Refused | Phase::Finish => Err(EditError::TooLate),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::{ClientRequest, Sandbox, UpstreamResponse};
    use super::*;
    use crate::prelude::*;

    struct Policy;

    #[crate::plugin]
    impl Plugin for Policy {
        type Config = Empty;
        type State = ();

        fn configure(_config: Empty, _setup: &mut Setup) -> Result<Self, Error> {
            Ok(Self)
        }

        fn on_request(&self, _state: &mut (), request: &mut Request) -> Verdict {
            assert_eq!(request.set_cache_key("no path"), Err(EditError::InvalidValue));
            assert_eq!(request.add_cache_tag("two words"), Err(EditError::InvalidValue));
            let _ = request.set_cache_key("/a?device=mobile");
            let _ = request.add_cache_tag("asked");
            Verdict::Continue
        }

        fn on_response(&self, _state: &mut (), _request: &Request, response: &mut Response) -> Verdict {
            let _ = response.set_cache_lifetime(Duration::from_millis(90_500));
            let _ = response.add_cache_tag("answered");
            if response.status() != 200 {
                let _ = response.bypass_cache();
            }
            Verdict::Continue
        }
    }

    #[test]
    fn an_outcome_tells_what_the_cache_was_told() {
        let mut sandbox = Sandbox::<Policy>::new(Host::new(), "{}").unwrap();
        let caching = sandbox.send(&ClientRequest::get("/a")).caching;
        let expected = Caching {
            bypass: false,
            key: Some(b"/a?device=mobile".to_vec()),
            lifetime: Some(Duration::from_secs(90)),
            tags: vec![b"asked".to_vec(), b"answered".to_vec()],
        };
        assert_eq!(caching, expected);
        let failed = sandbox.exchange(&ClientRequest::get("/a"), &UpstreamResponse::new(500));
        assert!(failed.caching.bypass);
    }

    #[test]
    fn each_thing_has_its_phase() {
        let mut host = Host::new();
        assert_eq!(host.bypass_cache(), Err(EditError::TooLate));
        host.phase = Phase::Request;
        assert_eq!(host.set_cache_lifetime(1), Err(EditError::TooLate));
        host.phase = Phase::Response;
        assert_eq!(host.set_cache_key(b"/"), Err(EditError::TooLate));
        for _ in 0..contract::CACHE_TAGS {
            host.add_cache_tag(b"x").unwrap();
        }
        assert_eq!(host.add_cache_tag(b"x"), Err(EditError::InvalidValue));
    }
}
