//! The request, each part of it asked for once.

use std::net::IpAddr;

use weir_sdk::Request;

use crate::{ScopeFacts, into_normal_path};

/// Remembers what the host has answered: a call out of the plugin costs more than most rules.
#[derive(Debug)]
pub struct Asked<'a> {
    request: &'a Request,
    client_ip: Option<IpAddr>,
    host: Option<String>,
    path: Option<Vec<u8>>,
    method: Option<String>,
}

impl<'a> Asked<'a> {
    /// Nothing has been asked yet.
    #[must_use]
    pub fn new(request: &'a Request) -> Self {
        Self {
            request,
            client_ip: None,
            host: None,
            path: None,
            method: None,
        }
    }

    /// The request itself, for what is not remembered here.
    #[must_use]
    pub fn request(&self) -> &'a Request {
        self.request
    }

    /// The client's address, after trusted proxies were believed.
    pub fn client_ip(&mut self) -> IpAddr {
        *self.client_ip.get_or_insert_with(|| self.request.client_ip())
    }
}

impl ScopeFacts for Asked<'_> {
    fn host(&mut self) -> &str {
        self.host.get_or_insert_with(|| self.request.host())
    }

    fn path(&mut self) -> &[u8] {
        self.path.get_or_insert_with(|| into_normal_path(self.request.path()))
    }

    fn method(&mut self) -> &str {
        self.method.get_or_insert_with(|| self.request.method())
    }
}
