//! `[cache]`: its tiers, and the rules that routes may see differently.

use super::Fallback::{Described, Required, Value};
use super::Kind::{Choice, Duration, Flag, Integer, Path, Section as Table, Size, Text, Texts};
use super::{Section, Setting, Shape, setting};

/// `[cache]`.
pub static CACHE: Section = Section {
    path: "cache",
    shape: Shape::Table,
    prose: "The shared memory cache, for the routes that ask for it (RFC 9111).",
    settings: &[
        setting(
            "size",
            Size("0", "1TiB"),
            Value("64MiB"),
            "Bodies, headers, keys and bookkeeping together. 0 turns the cache off.",
        ),
        setting("max_object", Size("0", "1GiB"), Value("1MiB"), "Largest object stored."),
        setting(
            "coalesce_timeout",
            Duration("1ms", "1h"),
            Value("5s"),
            "How long a request waits for another one that fetches the same object, and for a turn at its origin.",
        ),
        setting(
            "origin_fetches",
            Integer(1, 100_000),
            Value("1000"),
            "Misses that one upstream is asked for at once. The others wait `coalesce_timeout` at most, get what is stale, or 503.",
        ),
        setting("disk", Table("cache.disk"), Described("none"), "The disk tier."),
        setting(
            "bans",
            Integer(1, 100_000),
            Value("1000"),
            "Bans that are kept (`weir cache bans`). Over it the oldest is forgotten, with everything stored that was not tested by it.",
        ),
        setting(
            "purge_from",
            Texts("IP addresses and networks"),
            Described("nobody"),
            "Clients that may purge with the method `PURGE`. The routes that cache answer it with 405 where this is empty, and everybody else with 403.",
        ),
        setting(
            "tags",
            Choice(&["strip", "pass"]),
            Value("strip"),
            "Whether `Surrogate-Key` and `Cache-Tag` are removed from answers or passed on, as a cache in front of this Weir needs them.",
        ),
        setting(
            "status",
            Text("a name, or `\"off\"`"),
            Value("weir"),
            "What Weir calls itself in `Cache-Status` (RFC 9211), which all answers of routes that cache have.",
        ),
        setting(
            "status_key",
            Flag,
            Value("false"),
            "Whether `Cache-Status` shows what responses are stored under.",
        ),
        setting(
            "rules",
            Table("cache.rules"),
            Described("its defaults"),
            "What the cache does where messages leave it open.",
        ),
    ],
};

/// `[cache.disk]`.
pub static CACHE_DISK: Section = Section {
    path: "cache.disk",
    shape: Shape::Table,
    prose: "The disk tier below the memory. The section turns it on. What is stored is written here as well, one file a response, \
            survives restarts and crashes, and is read when memory does not have it. A disk that is full or fails only means misses.",
    settings: &[
        setting(
            "path",
            Path,
            Required,
            "A folder of its own; it is made where it is not there. Another one takes a restart.",
        ),
        setting(
            "size",
            Size("1MiB", "64TiB"),
            Value("10GiB"),
            "Disk space that the files may take, in blocks of 4 KiB.",
        ),
        setting(
            "max_files",
            Integer(1, 100_000_000),
            Value("1000000"),
            "Files, one a response. Each takes an inode, and about 200 bytes of memory outside of `cache.size`.",
        ),
        setting("min_object", Size("0", "1GiB"), Value("0"), "Smallest body written."),
        setting(
            "max_object",
            Size("0", "1TiB"),
            Value("16MiB"),
            "Largest body written. One that is larger than `cache.max_object` goes here alone, while it arrives: it takes some 2.5 \
             MiB of memory on its way, however large it is.",
        ),
    ],
};

/// `[cache.rules]`.
pub static CACHE_RULES: Section = Section {
    path: "cache.rules",
    shape: Shape::Table,
    prose: "What the cache does where messages leave it open, on all routes. What responses say themselves goes first.",
    settings: &RULES,
};

/// `[route.cache_rules]`.
pub static ROUTE_CACHE_RULES: Section = Section {
    path: "route.cache_rules",
    shape: Shape::Table,
    prose: "What a route sees differently from `[cache.rules]`.",
    settings: &ROUTE_RULES,
};

const RULES: [Setting; 12] = [
    setting(
        "targeted",
        Texts("header names"),
        Described("`[\"Weir-Cache-Control\", \"CDN-Cache-Control\", \"Surrogate-Control\"]`"),
        "Response headers that speak to this cache alone: the first one that is there and valid counts instead of `Cache-Control` and `Expires` (RFC 9213).",
    ),
    setting(
        "heuristic",
        Integer(0, 100),
        Value("10"),
        "How long a response is fresh that only says when it was last modified: so many percent of the time since (RFC 9111 §4.2.2).",
    ),
    setting(
        "heuristic_most",
        Duration("0s", "365d"),
        Value("1d"),
        "The longest of such lifetimes.",
    ),
    setting(
        "lifetime",
        Duration("0s", "365d"),
        Value("0s"),
        "How long a success or a redirect is fresh that says nothing at all.",
    ),
    setting(
        "negative",
        Duration("0s", "1d"),
        Value("0s"),
        "How long an error (404, 405, 410, 414, 451, 500 to 504) is fresh that does not say so.",
    ),
    setting(
        "grace",
        Duration("0s", "365d"),
        Value("0s"),
        "How long after its freshness a response is still served while the origin is asked in the background, where it says nothing of `stale-while-revalidate`.",
    ),
    setting(
        "stale_if_error",
        Duration("0s", "365d"),
        Value("0s"),
        "How long after its freshness a response is served in place of a 500, 502, 503 or 504, where it says nothing of `stale-if-error`.",
    ),
    setting(
        "stale_if_unreachable",
        Duration("0s", "365d"),
        Value("1d"),
        "The same when no server answers.",
    ),
    setting(
        "set_cookie",
        Choice(&["pass", "store"]),
        Value("pass"),
        "What becomes of responses with `Set-Cookie`: `pass` never stores them (unless `no-cache=\"set-cookie\"` allows it without the cookie), `store` stores them like others, and gives everybody the cookie.",
    ),
    setting(
        "normalise",
        Texts("header names"),
        Described("`[\"Accept-Encoding\", \"Accept-Language\"]`"),
        "Request headers that `Vary` compares by what they mean, not by how they are written. `Accept-Encoding` and `Accept-Language` are understood; any other is taken as a list without order and case.",
    ),
    setting(
        "query",
        Choice(&["exact", "sorted", "removed"]),
        Value("exact"),
        "What becomes of the query of a GET or HEAD before the cache is asked. The origin gets the same, so that nothing which it sees is missing in the key.",
    ),
    setting(
        "ignore_query",
        Texts("names of parameters; `utm_*` for all that begin so"),
        Described("none"),
        "Parameters that are taken out of the query, likewise.",
    ),
];

const ROUTE_RULES: [Setting; 12] = as_in_cache_rules(RULES);

const fn as_in_cache_rules(mut settings: [Setting; 12]) -> [Setting; 12] {
    let mut index = 0;
    while index < settings.len() {
        settings[index].default = Described("as in `[cache.rules]`");
        index += 1;
    }
    settings
}
