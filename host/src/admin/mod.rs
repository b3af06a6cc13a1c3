//! The operator's own port: health, metrics, status, and everything that changes what Weir runs.
//!
//! It has a thread and a runtime of its own, so that a busy proxy still answers its operator and a heavy activation never
//! delays a request. Who may ask for what is decided in [`guard`], what is answered in [`api`], and the page that people see
//! is `page.html`.
//!
//! | call | answers |
//! |---|---|
//! | `GET /` | a page for people |
//! | `GET /healthz` | 200 while the process runs |
//! | `GET /readyz` | 200 while a generation is active and Weir is not draining, else 503 |
//! | `GET /metrics` | metrics for Prometheus |
//! | `GET /v1/status` | what is active, and how its plugins and servers do |
//! | `POST /v1/deploy` | activates a bundle: its tar, or `{"path": "/folder"}` |
//! | `POST /v1/rollback` | goes back one generation, or to `{"generation": 3}` |
//! | `POST /v1/reload` | reads the configuration again |
//! | `POST /v1/cache/purge` | removes what is stored: `{"url": "…"}`, `prefix`, `host`, `{"tags": […]}` or `{"all": true}`, `"soft": true` |
//! | `POST /v1/cache/ban` | bans what fits `{"expression": "…"}`, `"soft": true` |
//! | `GET /v1/cache/bans` | the bans that are kept |
//! | `POST /v1/cache/inspect` | what is stored for `{"url": "…"}`, and what a request with `headers` would get of it |
//! | `PATCH /v1/plugins/NAME/config` | merges a JSON patch (RFC 7396) into a plugin's configuration, as a new generation |

pub mod api;
mod cache;
pub mod guard;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};

use api::Api;
pub use cache::CacheCall;

/// Connections served at once; further ones wait.
const CONNECTIONS: usize = 64;

/// For a whole request head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the end waits for an activation that is running.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// What the admin API does. Answers are JSON; errors are sentences for the operator.
pub trait Operations: Send + Sync + 'static {
    /// Whether a generation is active and Weir is not draining.
    fn ready(&self) -> bool;
    /// What `GET /v1/status` answers.
    fn status(&self) -> Value;
    /// What `GET /metrics` answers.
    fn metrics(&self) -> String;
    /// The bearer token asked of calls that change something.
    fn token(&self) -> Option<String>;
    /// Reads the configuration again and activates it.
    ///
    /// # Errors
    /// Why nothing has changed.
    fn reload(&self) -> Result<Value, String>;
    /// Activates the bundle in a folder or tar file.
    ///
    /// # Errors
    /// Why nothing has changed.
    fn deploy(&self, bundle: &Path) -> Result<Value, String>;
    /// Activates the current bundle with a merge patch in one plugin's configuration.
    ///
    /// # Errors
    /// Why nothing has changed.
    fn patch_plugin(&self, plugin: &str, patch: &Value) -> Result<Value, String>;
    /// Activates this generation, or the one before the current.
    ///
    /// # Errors
    /// Why nothing has changed.
    fn rollback(&self, generation: Option<u64>) -> Result<Value, String>;
    /// Looks at the cache, or takes something out. It may take as long as looking at everything that is stored.
    ///
    /// # Errors
    /// Why nothing has changed.
    fn cache(&self, call: &CacheCall) -> Result<Value, String>;
}

/// The running admin API. Dropping it stops it.
#[derive(Debug)]
pub struct Admin {
    address: SocketAddr,
    socket: std::net::TcpListener,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Admin {
    /// Binds the address and starts to answer. `handed` is the socket of a process that this one replaces, taken where it is for
    /// this address.
    ///
    /// # Errors
    /// When the address cannot be bound, or the thread cannot be started.
    pub fn start(
        address: SocketAddr,
        handed: Option<std::net::TcpListener>,
        operations: Arc<dyn Operations>,
    ) -> anyhow::Result<Self> {
        let is_same = |socket: &std::net::TcpListener| {
            let known = socket.local_addr();
            known.is_ok_and(|known| known == address || (address.port() == 0 && known.ip() == address.ip()))
        };
        let bind = || {
            std::net::TcpListener::bind(address)
                .with_context(|| format!("admin.address: {address} cannot be bound; is another Weir running?"))
        };
        let listener = handed.filter(is_same).map_or_else(bind, Ok)?;
        let socket = listener.try_clone()?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(4)
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            if let Err(error) = runtime.block_on(serve(listener, Api::new(address, operations), stopped)) {
                tracing::error!(%error, %address, "the admin API has stopped");
            }
            runtime.shutdown_timeout(SHUTDOWN);
        };
        let thread = std::thread::Builder::new().name("admin".to_owned()).spawn(serve)?;
        Ok(Self {
            address,
            socket,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Another handle of its socket, for a process that is to replace this one.
    ///
    /// # Errors
    /// When the system gives no more descriptors.
    pub fn socket(&self) -> io::Result<std::net::TcpListener> {
        self.socket.try_clone()
    }

    /// Where it really listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the admin API's thread has panicked");
        }
    }
}

/// Accepts until `stopped` hears that its other end is gone.
async fn serve(listener: std::net::TcpListener, api: Api, mut stopped: oneshot::Receiver<()>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let api = Arc::new(api);
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let (slot, accepted) = tokio::select! {
            _ = &mut stopped => return Ok(()),
            // The semaphore is never closed, so there is always a slot.
            next = async { (Arc::clone(&slots).acquire_owned().await, listener.accept().await) } => next,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: they come back.
                tracing::warn!(%error, "the admin API cannot accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let api = Arc::clone(&api);
        tokio::spawn(async move {
            connection(stream, peer, api).await;
            drop(slot);
        });
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, api: Arc<Api>) {
    let answer = service_fn(move |request| {
        let api = Arc::clone(&api);
        async move { Ok::<_, Infallible>(api.answer(peer, request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, %peer, "admin connection ended");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::{Read, Write};

    use super::*;

    struct Idle;

    impl Operations for Idle {
        fn ready(&self) -> bool {
            true
        }
        fn status(&self) -> Value {
            Value::Null
        }
        fn metrics(&self) -> String {
            String::new()
        }
        fn token(&self) -> Option<String> {
            None
        }
        fn reload(&self) -> Result<Value, String> {
            Ok(Value::Null)
        }
        fn deploy(&self, _: &Path) -> Result<Value, String> {
            Ok(Value::Null)
        }
        fn patch_plugin(&self, _: &str, _: &Value) -> Result<Value, String> {
            Ok(Value::Null)
        }
        fn rollback(&self, _: Option<u64>) -> Result<Value, String> {
            Ok(Value::Null)
        }
        fn cache(&self, _: &CacheCall) -> Result<Value, String> {
            Ok(Value::Null)
        }
    }

    #[test]
    fn it_answers_on_its_real_address_until_it_is_dropped() {
        let admin = Admin::start("127.0.0.1:0".parse().unwrap(), None, Arc::new(Idle)).unwrap();
        let address = admin.address();
        assert_ne!(address.port(), 0);
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream
            .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nready\n"),
            "{answer}"
        );
        drop(admin);
        assert!(std::net::TcpStream::connect(address).is_err());
    }

    #[test]
    fn a_taken_address_is_named() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = Admin::start(address, None, Arc::new(Idle)).unwrap_err();
        assert!(
            error.to_string().contains(&format!("admin.address: {address}")),
            "{error}"
        );
    }
}
