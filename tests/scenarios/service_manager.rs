//! What systemd is told, as it listens for it.

use std::os::unix::net::UnixDatagram;

use weir_tests::origin::Origin;
use weir_tests::proxy::in_front_of;

#[test]
fn ready_reloading_and_stopping() {
    let origin = Origin::text("ok");
    let builder = in_front_of(&origin);
    let manager = UnixDatagram::bind(builder.folder().join("notify")).expect("a socket");
    manager.set_read_timeout(Some(weir_tests::PATIENCE)).expect("a timeout");
    let said = || {
        let mut buffer = [0; 256];
        let length = manager.recv(&mut buffer).expect("a message");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let mut proxy = builder.env("NOTIFY_SOCKET", "notify").start();
    assert!(said().starts_with("READY=1"));
    assert!(proxy.weir(&["reload"]).success);
    let reloading = said();
    assert!(
        reloading.starts_with("RELOADING=1\n") && reloading.contains("MONOTONIC_USEC="),
        "{reloading}"
    );
    assert!(said().starts_with("READY=1"));
    proxy.stop();
    assert!(said().starts_with("STOPPING=1"));
}
