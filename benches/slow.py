#!/usr/bin/env python3
"""Slow attacks: what other clients notice of some thousand connections that take their time.

    benches/slow.py [--weir target/release/weir] [--connections 4000] [--seconds 20]

Runs Debian's slowhttptest against Weir in four ways (slow heads, slow bodies, slow reading, ranges) while one client asks a hundred times
a second over a new connection each, as it did before the attack. The origin is nginx. The column of connections counts Weir's descriptors
before the asking begins. The last column is what the client notices when another server on this machine is attacked in that way: the
attacker needs a processor too. Needs slowhttptest, nginx, and twice as many file descriptors as connections.
"""

import argparse
import resource
import subprocess
import tempfile
import time
from pathlib import Path

from idle import await_port, connect, free_port, start_weir

ATTACKS = {
    "slow heads": ["-H", "-i", "10"],
    "slow bodies": ["-B", "-i", "10", "-s", "65536"],
    "slow reading": ["-X", "-w", "1", "-y", "16", "-n", "5", "-z", "8", "-k", "3"],
    "range flood": ["-R", "-a", "10", "-b", "3000"],
}
INTERVAL = 0.01
ASK = b"GET /other HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n"


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--weir", default="target/release/weir")
    arguments.add_argument("--connections", type=int, default=4_000)
    arguments.add_argument("--seconds", type=int, default=20)
    options = arguments.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as folder:
        origin = free_port()
        Path(folder, "another").mkdir()
        another = free_port()
        servers = [start_nginx(Path(folder), origin), start_nginx(Path(folder, "another"), another)]
        try:
            attack_all(options, origin, another)
        finally:
            for server in servers:
                server.terminate()
                server.wait()


def attack_all(options, origin, another):
    print("| attack | connections | answered | failed | median | 99th percentile | calm 99th | 99th, another attacked |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name, attack in ATTACKS.items():
        with tempfile.TemporaryDirectory() as folder:
            port = free_port()
            process = start_weir(Path(folder), port, origin, options)
            try:
                calm, _ = others(port, options.seconds / 2)
                beside, _, _ = others_under(attack, another, port, process, options)
                times, failed, held = others_under(attack, port, port, process, options)
                print(f"| {name} | {held} | {len(times)} | {failed} | {at(times, 0.5)} | {at(times, 0.99)} | {at(calm, 0.99)} | {at(beside, 0.99)} |", flush=True)
            finally:
                process.terminate()
                process.wait()


def others_under(attack, attacked, port, weir, options):
    """What others get while the server at a port is attacked, and how many descriptors Weir then has."""
    attacker = subprocess.Popen(
        ["slowhttptest", *attack, "-c", str(options.connections), "-r", "2000", "-l", str(options.seconds + 7),
         "-u", f"http://127.0.0.1:{attacked}/index.html", "-p", "3"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(7)
    held = len(list(Path(f"/proc/{weir.pid}/fd").iterdir()))
    times, failed = others(port, options.seconds)
    attacker.kill()
    attacker.wait()
    return times, failed, held


def start_nginx(folder, port):
    """What is attacked is a page of 1 MiB, more than sockets on the way hold; others ask for a small one."""
    (folder / "index.html").write_bytes(b"x" * 1024 * 1024)
    (folder / "nginx.conf").write_text(f"""
        daemon off;
        worker_processes 1;
        worker_rlimit_nofile 65536;
        pid {folder}/pid;
        error_log /dev/null;
        events {{ worker_connections 20000; }}
        http {{
            access_log off;
            client_body_temp_path {folder}/body;
            client_max_body_size 0;
            # Answers once it has the whole request, as an application does.
            server {{
                listen 127.0.0.1:{port} backlog=4096;
                location = /other {{ return 200 "hello"; }}
                location / {{ proxy_pass http://unix:{folder}/socket; }}
            }}
            server {{
                listen unix:{folder}/socket;
                root {folder};
                error_page 405 =200 $uri;
            }}
        }}
        """)
    process = subprocess.Popen(["nginx", "-p", folder, "-c", folder / "nginx.conf"], stderr=subprocess.DEVNULL)
    return await_port(process, port)


def others(port, seconds):
    """Asks again and again; how long each answer took, and how many did not come."""
    times, failed = [], 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        begun = time.monotonic()
        try:
            with connect(port) as connection:
                connection.sendall(ASK)
                answer = b""
                while received := connection.recv(65536):
                    answer += received
            assert answer.startswith(b"HTTP/1.1 200")
            times.append(time.monotonic() - begun)
        except (OSError, AssertionError):
            failed += 1
        time.sleep(max(0.0, INTERVAL - (time.monotonic() - begun)))
    return sorted(times), failed


def at(times, share):
    return f"{times[int(len(times) * share)] * 1000:.1f} ms" if times else "-"


if __name__ == "__main__":
    main()
