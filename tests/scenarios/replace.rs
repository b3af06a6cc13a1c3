//! Weir replaced by a new process, reloaded, and given other certificates, while clients go on: nobody notices.
//!
//! `WEIR_REPLACEMENTS` says how often each is done (default 5).

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use weir_tests::client::Client;
use weir_tests::message::{Request, Response};
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, configure, in_front_of};
use weir_tests::sync::eventually;
use weir_tests::tls::Certificate;
use weir_tests::websocket;

fn times() -> usize {
    std::env::var("WEIR_REPLACEMENTS").map_or(5, |times| times.parse().expect("a number"))
}

/// Clients with kept and with new connections that ask as fast as they are answered.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Result<(), String>>>,
}

impl Load {
    fn start(connect: impl Fn() -> Client + Clone + Send + 'static) -> Self {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let clients = (0..4).map(|client| {
            let (stop, answered, connect) = (stop.clone(), answered.clone(), connect.clone());
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let answer = if client % 2 == 0 {
                        kept(&connect, &stop, &answered)
                    } else {
                        one(&connect, &answered)
                    };
                    answer.map_err(|error| format!("client {client}: {error}"))?;
                }
                Ok(())
            })
        });
        Self {
            clients: clients.collect(),
            stop,
            answered,
        }
    }

    /// Waits until so many more requests have been answered.
    fn go_on(&self, more: usize) {
        let until = self.answered.load(Ordering::Relaxed) + more;
        eventually("more answers", || {
            let done = self.answered.load(Ordering::Relaxed) >= until;
            (done || self.clients.iter().any(JoinHandle::is_finished)).then_some(())
        });
    }

    fn finish(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("a client").expect("no failed request");
        }
        self.answered.load(Ordering::Relaxed)
    }
}

/// Requests on one connection, until the proxy says that it was the last one.
fn kept(connect: &impl Fn() -> Client, stop: &AtomicBool, answered: &AtomicUsize) -> Result<(), String> {
    let mut client = connect();
    while !stop.load(Ordering::Relaxed) {
        let response = ask(&mut client, answered).map_err(|error| format!("kept connection: {error}"))?;
        if response.headers.get("connection") == Some("close") {
            return Ok(());
        }
    }
    Ok(())
}

/// One request on a connection of its own.
fn one(connect: &impl Fn() -> Client, answered: &AtomicUsize) -> Result<(), String> {
    ask(&mut connect(), answered)
        .map(drop)
        .map_err(|error| format!("new connection: {error}"))
}

fn ask(client: &mut Client, answered: &AtomicUsize) -> io::Result<Response> {
    client.try_send(Request::get("/").to_bytes())?;
    let response = client.try_response()?;
    if response.status != 200 {
        return Err(io::Error::other(format!("{response:?}")));
    }
    answered.fetch_add(1, Ordering::Relaxed);
    Ok(response)
}

/// An upload that is under way: its head and first chunk are sent.
fn upload(address: SocketAddr) -> Client {
    let mut client = Client::connect(address);
    client.send(b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
    client
}

fn finish_upload(mut client: Client) {
    client.send(b"4\r\nlast\r\n0\r\n\r\n");
    assert_eq!(client.response().text_body(), "firstlast");
}

/// Answers WebSockets with what they say, and everything else with its body.
fn origin() -> (Origin, Origin) {
    (
        Origin::start(|request| Response::text(request.body.clone())),
        websocket::echo_origin(),
    )
}

#[test]
fn by_a_new_process() {
    let (origin, echo) = origin();
    let mut proxy = configure()
        .listener("http")
        .route("all", "app", "")
        .route("chat", "chat", "path = \"/chat\"")
        .upstream("app", &[origin.address()], "")
        .upstream("chat", &[echo.address()], "")
        .start();
    let address = proxy.address();
    let load = Load::start(move || Client::connect(address));
    for time in 0..times() {
        let old = proxy.id();
        let mut chat = websocket::Client::connect(address, "/chat");
        assert_eq!(chat.exchange("before"), "before");
        let uploading = upload(address);
        load.go_on(50);
        proxy.replace();
        assert_ne!(proxy.id(), old);
        load.go_on(50);
        assert_eq!(proxy.ask("/readyz").status, 200, "the operator speaks to the new one");
        assert_eq!(chat.exchange("after"), "after", "replacement {time}");
        finish_upload(uploading);
        assert!(Proxy::runs(old), "it still has a WebSocket");
        chat.close();
        eventually("the old process's end", || (!Proxy::runs(old)).then_some(()));
    }
    let answered = load.finish();
    println!("{} replacements, {answered} requests, none failed", times());
}

#[test]
fn by_other_configurations() {
    let (origin, _) = origin();
    let proxy = in_front_of(&origin).start();
    let address = proxy.address();
    let load = Load::start(move || Client::connect(address));
    for time in 0..times() {
        let uploading = upload(address);
        let via = |time: usize| format!("via = \"weir{time}\"\n");
        proxy.edit_config(|text| via(time + 1) + text.strip_prefix(&via(time)).unwrap_or(&text));
        load.go_on(50);
        let output = proxy.weir(&["reload"]);
        assert!(output.success, "{}", output.stderr);
        load.go_on(50);
        finish_upload(uploading);
    }
    println!("{} reloads, {} requests, none failed", times(), load.finish());
}

#[test]
fn by_other_certificates() {
    let origin = Origin::text("ok");
    let certificates = [Certificate::new(&["weir.test"]), Certificate::new(&["weir.test"])].map(Arc::new);
    let builder = configure()
        .tls_listener("https")
        .route("all", "app", "")
        .upstream("app", &[origin.address()], "");
    certificates[0].write(builder.folder());
    let proxy = builder.start();
    let address = proxy.address();
    let known = certificates.clone();
    let load = Load::start(move || {
        let connect = |certificate: &Arc<Certificate>| certificate.try_connect(address).ok();
        // The old certificate or the new one, but one of them.
        (0..10)
            .find_map(|_| known.iter().find_map(connect))
            .expect("a handshake")
    });
    for time in 1..=times() {
        let next = &certificates[time % 2];
        next.write(proxy.folder());
        eventually("the other certificate", || next.try_connect(address).ok());
        load.go_on(20);
    }
    println!("{} certificates, {} requests, none failed", times(), load.finish());
}

/// A new process that cannot start changes nothing, and says why.
#[test]
fn a_new_process_that_fails_leaves_the_old_one_serving() {
    let (origin, _) = origin();
    let mut proxy = in_front_of(&origin).start();
    let mut kept = proxy.connect();
    assert_eq!(kept.get("/").status, 200);
    let before = proxy.id();
    proxy.edit_config(|text| format!("nonsense = 1\n{text}"));
    proxy.signal("USR2");
    proxy.await_log("this process goes on");
    assert_eq!(kept.get("/").status, 200);
    assert_eq!(proxy.get("/").status, 200);
    assert_eq!(proxy.id(), before);

    proxy.edit_config(|text| text.replace("nonsense = 1\n", ""));
    proxy.replace();
    assert_eq!(proxy.get("/").status, 200, "and the next one succeeds");
}

/// A process that retires is still told to end by SIGTERM, and then does not wait for ever.
#[test]
fn a_process_that_retires_can_be_stopped() {
    let echo = websocket::echo_origin();
    let mut proxy = in_front_of(&echo).top("drain = \"1s\"").start();
    let old = proxy.id();
    let mut chat = websocket::Client::connect(proxy.address(), "/");
    assert_eq!(chat.exchange("here"), "here");
    proxy.replace();
    thread::sleep(Duration::from_millis(100));
    assert!(Proxy::runs(old));
    let status = std::process::Command::new("kill")
        .args(["-TERM", &old.to_string()])
        .status();
    assert!(status.expect("run kill").success());
    eventually("the old process's end", || (!Proxy::runs(old)).then_some(()));
    let _ = io::stdout().flush();
}
