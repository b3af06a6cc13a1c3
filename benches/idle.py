#!/usr/bin/env python3
"""Memory of idle connections: Weir beside nginx.

    benches/idle.py [--weir target/release/weir] [--connections 10000]

Each proxy passes one request of every connection to an origin; then the connections stay open, and what the proxy has in memory beyond
one that was started for a few connections is divided by their number: nginx allocates much of it at its start. Needs nginx, and twice as
many file descriptors as connections.
"""

import argparse
import os
import resource
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

REQUEST = b"GET / HTTP/1.1\r\nHost: idle.test\r\nUser-Agent: idle\r\nAccept: */*\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n" + b"x" * 1024


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--weir", default="target/release/weir")
    arguments.add_argument("--connections", type=int, default=10_000)
    options = arguments.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    origin = start_origin()
    figures = {}
    for name, start in [("nginx", start_nginx), ("weir", start_weir)]:
        with tempfile.TemporaryDirectory() as folder:
            figures[name] = measure(start, Path(folder), origin, options)
            print(f"{name}: {figures[name]:.0f} bytes a connection", flush=True)
    print(f"weir / nginx: {figures['weir'] / figures['nginx']:.2f}")


def measure(start, folder, origin, options):
    return (held(start, folder, origin, options.connections, options) - held(start, folder, origin, 16, options)) / options.connections


def held(start, folder, origin, connections, options):
    """What a proxy that is started for so many connections has in memory while all of them are idle."""
    port = free_port()
    process = start(folder, port, origin, argparse.Namespace(weir=options.weir, connections=connections))
    try:
        kept = [ask(connect(port)) for _ in range(connections)]
        time.sleep(2)
        resident = memory(process.pid)
        for connection in kept:
            connection.close()
        return resident
    finally:
        process.terminate()
        process.wait()


def start_nginx(folder, port, origin, options):
    (folder / "nginx.conf").write_text(f"""
        daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
        worker_rlimit_nofile {options.connections + 600};
        events {{ worker_connections {options.connections + 100}; }}
        http {{
            access_log off; keepalive_timeout 600s; keepalive_requests 1000000;
            upstream origin {{ server 127.0.0.1:{origin}; keepalive 64; }}
            server {{
                listen 127.0.0.1:{port} backlog=4096;
                location / {{ proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; }}
            }}
        }}""")
    process = subprocess.Popen(["nginx", "-p", folder, "-c", folder / "nginx.conf"], stderr=subprocess.DEVNULL)
    return await_port(process, port)


def start_weir(folder, port, origin, options):
    (folder / "weir.toml").write_text(f"""
        workers = 1
        [timeouts]
        keep_alive = "10m"
        [[listener]]
        address = "127.0.0.1:{port}"
        [[route]]
        upstream = "origin"
        [[upstream]]
        name = "origin"
        servers = ["127.0.0.1:{origin}"]
        [access_log]
        format = "off"
        [admin]
        address = "off"
        [plugins]
        state = "{folder}/state"
        """)
    process = subprocess.Popen([options.weir, "run", "-c", folder / "weir.toml"], stderr=subprocess.DEVNULL)
    return await_port(process, port)


def start_origin():
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)

    def serve(connection):
        while request := connection.recv(65536):
            connection.sendall(ANSWER * request.count(b"\r\n\r\n"))

    def accept():
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def ask(connection):
    connection.sendall(REQUEST)
    answer = b""
    while not answer.endswith(b"x" * 1024):
        received = connection.recv(65536)
        assert received, "the proxy closed the connection"
        answer += received
    return connection


def memory(pid):
    """Resident memory of a process and its children, in bytes."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    pages = sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in [pid, *children])
    return pages * os.sysconf("SC_PAGE_SIZE")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def await_port(process, port):
    for _ in range(200):
        try:
            connect(port).close()
            return process
        except OSError:
            time.sleep(0.1)
    raise SystemExit("a proxy does not listen")


if __name__ == "__main__":
    main()
