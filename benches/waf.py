#!/usr/bin/env python3
"""What judging by the OWASP Core Rule Set costs: Weir's WAF beside nginx with ModSecurity, the same rules in both.

    make plugins && scripts/install-packages.sh libnginx-mod-http-modsecurity modsecurity-crs nginx wrk && benches/waf.py

For each proxy the CPU time of a request is measured with and without the WAF, by the method of README.md: one worker pinned to
core 0, origin and wrk on core 1, the kernel's account of the process divided by the requests, everybody in turn within a round.
The difference is the WAF's share; what is printed are medians over the rounds, after a second that does not count. A status other than 2xx voids the run.

The WAF remembers what it found out about values, so a request that comes again and again is cheaper than it is on a real site.
"a browser's GET, each another" has another path, query and session every time, and is the row to read for pages.

Options by environment: ROUNDS (3), SECONDS (3; bash counts in a variable of this name, so say `env SECONDS=2` behind
a script), CONNECTIONS (4), WEIR (target/release/weir), WAF (target/plugins/waf.wasm), CRS (/usr/share/modsecurity-crs), ONLY (a part of the
names of the requests to measure).
"""

import json
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = int(os.environ.get("ROUNDS", 3))
SECONDS = int(os.environ.get("SECONDS", 3))
WEIR = Path(os.environ.get("WEIR", ROOT / "target/release/weir"))
WAF = Path(os.environ.get("WAF", ROOT / "target/plugins/waf.wasm"))
CRS = Path(os.environ.get("CRS", "/usr/share/modsecurity-crs"))
ONLY = os.environ.get("ONLY", "")
PROXY_CORE, LOAD_CORE = "0", "1"
CONNECTIONS = int(os.environ.get("CONNECTIONS", 4))

ORIGIN = """
worker_processes 1; daemon off; master_process off; pid {dir}/origin.pid; error_log {dir}/origin.log crit;
events {{ worker_connections 1024; }}
http {{
    access_log off; default_type text/plain; keepalive_requests 1000000000; keepalive_timeout 1h;
    server {{ listen 127.0.0.1:{origin}; location / {{ return 200 "{body}"; }} }}
}}
"""

NGINX = """
load_module modules/ngx_http_modsecurity_module.so;
worker_processes 1; daemon off; master_process off; pid {dir}/nginx-{waf}.pid; error_log {dir}/nginx-{waf}.log crit;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_requests 1000000000; keepalive_timeout 1h; client_body_buffer_size 256k;
    upstream origin {{ server 127.0.0.1:{origin}; keepalive 128; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            modsecurity {waf}; modsecurity_rules_file {dir}/rules.conf;
            proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
        }}
    }}
}}
"""

WEIR_TOML = """
workers = 1
[admin]
address = "127.0.0.1:{admin}"
[[listener]]
address = "127.0.0.1:{port}"
[[upstream]]
name = "origin"
servers = ["127.0.0.1:{origin}"]
[[route]]
name = "all"
upstream = "origin"
[access_log]
format = "off"
[plugins]
state = "{dir}/state-{waf}"
{bundle}
"""

BROWSER = {
    "Host": "www.example.org",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.5",
    "Accept-Encoding": "gzip, deflate, br",
    "Referer": "https://www.example.org/library/list",
    "Cookie": "session=0f3a9c1b2d4e5f60718293a4b5c6d7e8; theme=dark",
    "Upgrade-Insecure-Requests": "1",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-User": "?1",
    "Cache-Control": "max-age=0",
}
SMALL = {"Host": "www.example.org", "User-Agent": "wrk/4", "Accept": "*/*"}

# A visitor who turns pages, and another one after every page: the path, two arguments and the session are new each time.
VARYING = """
math.randomseed(1)
local titles = {"summer", "winter", "river", "house", "light", "garden", "mountain", "harbour", "letter", "machine"}
local any = function() return titles[math.random(#titles)] end
request = function()
    local session = {}
    for part = 1, 8 do session[part] = string.format("%04x", math.random(0, 65535)) end
    wrk.headers["Cookie"] = "session=" .. table.concat(session) .. "; theme=dark"
    local path = string.format("/library/series/%s-%s-%d/chapter-%d", any(), any(), math.random(9999), math.random(99))
    local query = string.format("page=%d&sort=title&lang=en&view=grid&q=%s+%s+%d", math.random(500), any(), any(), math.random(9999))
    return wrk.format("GET", path .. "?" .. query)
end
"""


def main():
    for needed in (WEIR, WAF, Path("/usr/lib/nginx/modules/ngx_http_modsecurity_module.so"), CRS / "rules"):
        if not needed.exists():
            sys.exit(f"{needed} is missing; the first lines of this file say how to get it")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chmod(folder, 0o755)
        proxies = start(folder)
        try:
            for scenario, lua in scripts(folder).items():
                if ONLY in scenario:
                    measure(scenario, proxies, lua)
        finally:
            for process, _ in proxies.values():
                process.send_signal(signal.SIGTERM)


def scripts(folder):
    """For each request, what tells wrk to send it."""
    random.seed(1)
    words = "the quick manga chapter of volume reader page title search about summer house river light story night".split()
    prose = lambda count: [random.choice(words) for _ in range(count)]
    form = "&".join(f"field_{index}={'+'.join(prose(9))}" for index in range(60))[:2048]
    items = [{"id": n, "title": " ".join(prose(3)), "tags": prose(3), "price": n * 3.5} for n in range(110)]
    content = json.dumps({"items": items})
    typed = lambda kind: SMALL | {"Content-Type": kind}
    series = "/library/series/one-summer-house?page=3&sort=title&lang=en&view=grid"
    requests = {
        "a small GET": script(SMALL),
        "a browser's GET": script(BROWSER, series),
        "a browser's GET, each another": script(BROWSER) + VARYING,
        f"a form of {len(form)} bytes": script(typed("application/x-www-form-urlencoded"), body=form),
        f"{len(content)} bytes of JSON": script(typed("application/json"), body=content),
    }
    files = {scenario: folder / (re.sub(r"\W+", "-", scenario) + ".lua") for scenario in requests}
    for scenario, file in files.items():
        file.write_text(requests[scenario])
    return files


def script(headers, path="/", body=None):
    lines = [f"wrk.path = {json.dumps(path)}"]
    lines += [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in headers.items()]
    if body is not None:
        lines += ['wrk.method = "POST"', f"wrk.body = {json.dumps(body)}"]
    return "\n".join(lines) + "\n"


def start(folder):
    """All proxies and the origin; each by its name, with its port."""
    origin = free_port()
    (folder / "origin.conf").write_text(ORIGIN.format(dir=folder, origin=origin, body="x" * 1024))
    bundle = folder / "bundle"
    subprocess.run([ROOT / "scripts/crs-bundle.sh", CRS, bundle, WAF], check=True, stdout=subprocess.DEVNULL)
    setup = (bundle / "rules/modsecurity.conf").read_text()
    # What libmodsecurity 3.0 of Debian does not know; its default is as much.
    setup = re.sub(r"(?m)^Sec(RequestBodyJsonDepthLimit|ArgumentsLimit).*$", "", setup)
    (folder / "modsecurity.conf").write_text(setup)
    included = [folder / "modsecurity.conf", bundle / "rules/crs-setup.conf"]
    included += sorted(path for path in (bundle / "rules").glob("RE*.conf"))
    (folder / "rules.conf").write_text("".join(f"Include {path}\n" for path in included) + "SecAuditEngine Off\n")

    proxies = {"origin": (spawn(LOAD_CORE, "nginx", "-c", folder / "origin.conf"), origin)}
    for waf in ("off", "on"):
        port = free_port()
        config = folder / f"nginx-{waf}.conf"
        config.write_text(NGINX.format(dir=folder, waf=waf, port=port, origin=origin))
        proxies[f"nginx {waf}"] = (spawn(PROXY_CORE, "nginx", "-c", config), port)
        port = free_port()
        config = folder / f"weir-{waf}.toml"
        named = f'bundle = "{bundle}"' if waf == "on" else ""
        config.write_text(WEIR_TOML.format(dir=folder, waf=waf, port=port, admin=free_port(), origin=origin, bundle=named))
        proxies[f"weir {waf}"] = (spawn(PROXY_CORE, WEIR, "run", "-c", config), port)
    for name, (process, port) in proxies.items():
        listening(name, process, port)
    return proxies


def spawn(core, *command):
    return subprocess.Popen(["taskset", "-c", core, *map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def listening(name, process, port):
    # Compiling a rule set takes minutes on a busy machine.
    for _ in range(3000):
        if process.poll() is not None:
            sys.exit(f"{name} ended with {process.returncode}")
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
    sys.exit(f"{name} does not listen")


def measure(scenario, proxies, lua):
    costs = {name: [] for name in proxies if name != "origin"}
    # A process that was just started still touches its memory for the first time.
    for name in costs:
        cost(*proxies[name], name, lua, 1)
    for _ in range(ROUNDS):
        for name, samples in costs.items():
            samples.append(cost(*proxies[name], name, lua, SECONDS))
    median = {name: statistics.median(samples) for name, samples in costs.items()}
    weir, modsecurity = median["weir on"] - median["weir off"], median["nginx on"] - median["nginx off"]
    print(f"{scenario}: the WAF's share is {weir:.0f} µs in Weir, {modsecurity:.0f} µs in ModSecurity: 1/{modsecurity / weir:.1f}", flush=True)


def cost(process, port, name, lua, seconds):
    """Microseconds of CPU time for each request."""
    before = cpu(process.pid)
    wrk = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(lua), f"http://127.0.0.1:{port}"]
    told = subprocess.run(wrk, capture_output=True, text=True, check=True).stdout
    done = int(re.search(r"(\d+) requests in", told).group(1))
    if done == 0 or "Non-2xx" in told:
        sys.exit(f"{name}: {told}")
    return (cpu(process.pid) - before) / 1000 / done


def cpu(pid):
    """Nanoseconds that all threads of a process have run."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


main()
