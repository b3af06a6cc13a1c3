#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;

use super::*;

/// The least that is valid, and places for more.
fn minimal(top: &str, tables: &str) -> String {
    format!(
        "{top}\n[[listener]]\naddress = \"127.0.0.1:0\"\n[[route]]\nupstream = \"app\"\n\
         [[upstream]]\nname = \"app\"\nservers = [\"10.0.0.1:80\"]\n{tables}"
    )
}

fn valid(text: &str) -> Config {
    parse(text, Path::new("/etc/weir/weir.toml")).unwrap_or_else(|report| panic!("{report}"))
}

#[test]
fn defaults_are_those_that_the_types_promise() {
    let config = valid(&minimal("", ""));
    let seconds = Duration::from_secs;
    assert!(config.workers >= 1);
    assert_eq!((config.via.as_str(), config.drain), ("weir", seconds(30)));
    assert!(config.trusted_proxies.is_empty());
    assert_eq!(&*config.listeners[0].name, "127.0.0.1:0");
    assert!(config.listeners[0].http2 && config.listeners[0].tls.is_none());
    let route = &config.routes[0];
    assert_eq!(&*route.name, "app");
    assert!(matches!(&route.path, PathPattern::Prefix(path) if path == "/"));
    assert!(route.hosts.is_empty() && route.methods.is_empty() && route.headers.is_empty());
    assert!(!route.cache && route.plugins && route.strip_prefix.is_none());
    assert_eq!(
        (route.retries, route.max_body, &route.host_header),
        (1, 1 << 30, &HostHeader::Client)
    );
    assert_eq!(route.timeouts, config.timeouts);
    let upstream = &config.upstreams[0];
    assert_eq!((upstream.keep_alive, upstream.idle_timeout), (64, seconds(60)));
    assert_eq!(upstream.balance, Balance::RoundRobin);
    assert!(upstream.health.is_none() && upstream.tls.is_none());
    assert_eq!(
        upstream.ejection,
        Ejection {
            failures: 5,
            duration: seconds(10),
            max_percent: 50
        }
    );
    assert_eq!(
        config.timeouts,
        Timeouts {
            handshake: seconds(10),
            header: seconds(10),
            body: seconds(30),
            keep_alive: seconds(60),
            client_fin: seconds(1),
            connect: seconds(2),
            response: seconds(60),
            idle: seconds(60),
            tunnel: seconds(3600),
            lifetime: units::NEVER,
        }
    );
    assert_eq!(
        config.limits,
        Limits {
            header_bytes: 65_536,
            headers: 100,
            target: 16_384,
            body: 1 << 30,
            connections: 100_000,
            client: ClientLimits {
                connections: 0,
                connection_rate: 0,
                request_rate: 0,
                prefix_v4: 32,
                prefix_v6: 64,
                networks: 65_536,
            },
            requests_per_connection: 0,
            body_rate: 240,
            held_bodies: 256 << 20,
            streams: 100
        }
    );
    assert_eq!(
        config.cache,
        Cache {
            size: 64 << 20,
            max_object: 1 << 20,
            coalesce_timeout: seconds(5),
            origin_fetches: 1000,
            disk: None,
            bans: 1000,
            purge_from: Vec::new(),
            tags: Tags::Strip,
            status: Some("weir".into()),
            status_key: false,
        }
    );
    assert_eq!(*route.cache_rules, CacheRules::default());
    assert_eq!(
        config.admin,
        Admin {
            address: "127.0.0.1:9180".parse().ok(),
            token: None
        }
    );
    assert_eq!(
        config.access_log,
        AccessLog {
            format: LogFormat::Text,
            file: None,
            events: None
        }
    );
    assert_eq!(
        config.plugins,
        Plugins {
            bundle: None,
            state: "/var/lib/weir".into(),
            keep: 5,
            counters: 64 << 20,
            kv: 64 << 20
        }
    );
}

#[test]
fn everything_that_can_be_written_is_read() {
    let config = valid(
        r#"
        workers = 3
        drain = "1m"
        trusted_proxies = ["10.1.2.3/8", "::1"]
        via = "edge-1"

        [[listener]]
        name = "public"
        address = "[::]:80"
        http2 = false

        [[route]]
        name = "one"
        hosts = ["Example.org", "*.example.org", "[::1]"]
        path_pattern = "/users/[0-9]+"
        methods = ["GET", "PURGE"]
        headers = { X-Canary = "1", authorization = true }
        upstream = "two"
        cache = true
        plugins = false
        host_header = "=app.internal:81"
        strip_prefix = "/users/"
        retries = 0
        max_body = 10
        timeouts = { response = "off", connect = "100ms" }

        [[upstream]]
        name = "one"
        servers = ["127.0.0.1:1", { address = "[::1]:2", weight = 1000 }, "localhost:3"]
        balance = "consistent-hash"
        hash = "cookie:session"
        keep_alive = 0
        idle_timeout = "1s"
        health = { path = "/health?x", host = "h", interval = "1s", timeout = "1s", healthy_after = 1, unhealthy_after = 1, statuses = ["200", "301-302"] }
        ejection = { failures = 0, duration = "1s", max_percent = 100 }
        tls = { server_name = "app.internal", verify = false }

        [[upstream]]
        name = "two"
        servers = ["10.0.0.1:80"]
        balance = "least-requests"

        [cache]
        size = 0
        [admin]
        address = "off"
        token = "0123456789abcdef"
        [access_log]
        format = "off"
        [plugins]
        state = "state"
        [limits]
        body = "10MB"
        "#,
    );
    assert_eq!(
        (config.workers, config.drain, config.via.as_str()),
        (3, Duration::from_secs(60), "edge-1")
    );
    assert_eq!(
        config.trusted_proxies,
        ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]
    );
    assert!(!config.listeners[0].http2);
    let route = &config.routes[0];
    assert_eq!(
        route.hosts,
        [
            HostPattern::Exact("example.org".into()),
            HostPattern::Suffix("example.org".into()),
            HostPattern::Exact("[::1]".into())
        ]
    );
    let PathPattern::Pattern(pattern) = &route.path else {
        panic!("a pattern")
    };
    assert!(pattern.is_match(b"/users/12") && !pattern.is_match(b"/users/12/x") && !pattern.is_match(b"/a/users/12"));
    assert_eq!(route.methods.len(), 2);
    assert_eq!(route.headers.iter().filter(|header| header.value.is_none()).count(), 1);
    assert_eq!(route.upstream, 1);
    assert!(route.cache && !route.plugins);
    assert_eq!(
        route.host_header,
        HostHeader::Fixed(HeaderValue::from_static("app.internal:81"))
    );
    assert_eq!(route.strip_prefix.as_deref(), Some("/users"));
    assert_eq!((route.retries, route.max_body), (0, 10));
    assert_eq!(
        (route.timeouts.response, route.timeouts.connect),
        (units::NEVER, Duration::from_millis(100))
    );
    assert_eq!(route.timeouts.idle, config.timeouts.idle);
    let upstream = &config.upstreams[0];
    assert_eq!(
        upstream.balance,
        Balance::ConsistentHash(HashKey::Cookie("session".into()))
    );
    assert_eq!(
        upstream.servers.iter().map(|server| server.weight).collect::<Vec<_>>(),
        [1, 1000, 1]
    );
    assert_eq!(
        upstream.servers[2].address.tcp().unwrap(),
        "127.0.0.1:3".parse().unwrap(),
        "IPv4 is preferred"
    );
    let health = upstream.health.as_ref().unwrap();
    assert_eq!(health.statuses, [(200, 200), (301, 302)]);
    assert_eq!(upstream.tls.as_ref().map(|tls| tls.verify), Some(false));
    assert_eq!(config.admin.address, None);
    assert_eq!(config.plugins.state, Path::new("/etc/weir/state"));
    assert_eq!(config.limits.body, 10_000_000);
}

#[test]
fn the_example_is_valid() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/weir.toml");
    let config = load(&example).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!((config.routes.len(), config.upstreams.len()), (3, 2));
}

#[test]
fn a_host_that_does_not_resolve_is_refused_unless_the_outside_is_ignored() {
    let text = minimal("", "").replace("10.0.0.1:80", "nothing.invalid:80");
    let report = parse(&text, Path::new("weir.toml")).unwrap_err().to_string();
    assert!(
        report.contains("the host `nothing.invalid` does not resolve"),
        "{report}"
    );
    assert!(parse_with(&text, Path::new("weir.toml"), Outside::Ignore).is_ok());
}

#[test]
fn files_that_cannot_be_read_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weir.toml");
    let refusal = || load(&file).unwrap_err().to_string();
    assert!(refusal().contains("cannot be read: No such file"), "{}", refusal());
    std::fs::write(&file, b"workers = 1\nvia = \"\xff\"\n").unwrap();
    assert!(refusal().contains("line 2 is not UTF-8"), "{}", refusal());
    std::fs::write(&file, vec![b'#'; 5 << 20]).unwrap();
    assert!(refusal().contains("larger than 4 MiB"), "{}", refusal());
}

#[test]
fn the_admin_section_is_read_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weir.toml");
    assert_eq!(admin(&file).address, "127.0.0.1:9180".parse().ok());
    std::fs::write(
        &file,
        "wrong = [\n[admin]\naddress = \"127.0.0.1:1\"\ntoken = \"0123456789abcdef\"\n",
    )
    .unwrap();
    let _ = admin(&file);
    std::fs::write(
        &file,
        "wrong = 1\n[admin]\naddress = \"127.0.0.1:1\"\ntoken = \"0123456789abcdef\"\n",
    )
    .unwrap();
    let expected = Admin {
        address: "127.0.0.1:1".parse().ok(),
        token: Some("0123456789abcdef".into()),
    };
    assert_eq!(admin(&file), expected);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}|([a-z\\[\\]\\.\\n\"= {},0-9]{0,200})") {
        let _ = parse_with(&text, Path::new("weir.toml"), Outside::Ignore).map_err(|report| report.to_string());
    }

    /// Known keys with values of every kind reach further than random text does.
    #[test]
    fn any_value_of_a_known_key_is_read_or_refused(
        section in 0..settings::SECTIONS.len(),
        key in any::<prop::sample::Index>(),
        value in "\"\\PC{0,20}\"|-?[0-9]{1,25}|true|\\[\"[a-z:/.*0-9]{0,20}\"\\]|\\{ [a-z]{1,5} = \"\" \\}|[0-9]\\.[0-9]|\"[0-9]{1,30}[a-zA-Z]{1,3}\"",
    ) {
        let section = settings::SECTIONS[section];
        let key = key.get(section.settings).key;
        let text = match (section.path, section.shape) {
            ("", _) => format!("{key} = {value}\n"),
            (_, settings::Shape::Table) => format!("[{}]\n{key} = {value}\n", section.path),
            (_, settings::Shape::Array) => format!("[[{}]]\n{key} = {value}\n", section.path),
        };
        let _ = parse_with(&text, Path::new("weir.toml"), Outside::Ignore).map_err(|report| report.to_string());
    }
}
