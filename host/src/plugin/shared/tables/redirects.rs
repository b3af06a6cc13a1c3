//! Redirects in a table that lead back to where they began.
//!
//! A plugin looks entries up one at a time and cannot list them, so the host follows them when the bundle is loaded, for tables
//! that say `check = "redirects"`. Keys are paths, or hosts and paths; values are `[status ]target`, as the redirect plugin
//! reads them. A target on another host is followed where the keys name hosts, and ends the chain where they do not.

use super::csv::{self, Build, LineProblem, PROBLEMS};
use super::exact::Exact;

/// Browsers give up after twenty redirects; nobody means to send them through more than these.
const HOPS: usize = 10;

/// Follows every entry of a table.
///
/// # Errors
/// The lines whose redirects come back to themselves, or go on for more than ten hops, with the way that they take.
pub fn check(table: &Exact, content: &[u8], header: bool) -> Result<(), Vec<LineProblem>> {
    csv::load(
        content,
        header,
        Follower {
            table,
            problems: Vec::new(),
        },
    )
}

struct Follower<'a> {
    table: &'a Exact,
    problems: Vec<LineProblem>,
}

impl Build for Follower<'_> {
    type Table = ();

    fn add(&mut self, key: &[u8], value: &[u8], line: u32) -> Result<(), String> {
        if self.problems.len() < PROBLEMS
            && let Some(message) = follow(self.table, key, value)
        {
            self.problems.push(LineProblem {
                line: line.into(),
                message,
            });
        }
        Ok(())
    }

    fn build(self) -> Result<(), Vec<LineProblem>> {
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(self.problems)
        }
    }
}

/// What is wrong with the chain that begins here.
fn follow(table: &Exact, start: &[u8], value: &[u8]) -> Option<String> {
    let mut way = vec![start.to_vec()];
    let mut next = target(start, value)?;
    loop {
        way.push(next.clone());
        if next == start {
            return Some(format!("this redirect comes back to itself: {}", show(&way)));
        }
        let value = table.lookup(&next)?;
        if way.len() > HOPS {
            return Some(format!(
                "this redirect goes on for more than {HOPS} hops: {}",
                show(&way)
            ));
        }
        next = target(&next, value)?;
    }
}

/// The key that a redirect leads to, without query and fragment; `None` where it leads out of the table.
fn target(key: &[u8], value: &[u8]) -> Option<Vec<u8>> {
    let target = value.rsplit(|&byte| byte == b' ').next()?;
    let end = target.iter().position(|&byte| byte == b'?' || byte == b'#');
    let target = &target[..end.unwrap_or(target.len())];
    let host = key.split(|&byte| byte == b'/').next().unwrap_or_default();
    if target.first() == Some(&b'/') && target.get(1) != Some(&b'/') {
        return Some([host, target].concat());
    }
    let rest = target
        .strip_prefix(b"https://")
        .or_else(|| target.strip_prefix(b"http://"))?;
    // Keys that are paths begin with a slash, and know nothing of other hosts.
    (!host.is_empty()).then(|| lowercase_host(rest))
}

/// The host in lower case, the path as it is.
fn lowercase_host(address: &[u8]) -> Vec<u8> {
    let end = address.iter().position(|&byte| byte == b'/').unwrap_or(address.len());
    let (host, path) = address.split_at(end);
    let path: &[u8] = if path.is_empty() { b"/" } else { path };
    [&host.to_ascii_lowercase(), path].concat()
}

fn show(way: &[Vec<u8>]) -> String {
    let hops: Vec<_> = way.iter().map(|hop| String::from_utf8_lossy(hop)).collect();
    hops.join(" → ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::super::Table;
    use super::*;
    use crate::bundle::TableKind;

    fn problems(content: &str) -> Vec<(u64, String)> {
        let Ok(Table::Exact(table)) = Table::load(TableKind::Exact, content.as_bytes(), false) else {
            panic!("no table")
        };
        let wrong = check(&table, content.as_bytes(), false).err().unwrap_or_default();
        wrong
            .into_iter()
            .map(|problem| (problem.line, problem.message))
            .collect()
    }

    #[test]
    fn chains_that_end_are_fine() {
        assert_eq!(
            problems("/a,/b\n/b,308 /c?x=1\n/gone,410\n/out,https://elsewhere.example/out\n/s,/s/\n"),
            []
        );
        assert_eq!(problems("a.example/x,https://b.example/x\nb.example/x,/y\n"), []);
    }

    #[test]
    fn each_line_of_a_loop_is_named_with_its_way() {
        let wrong = problems("/ok,/a\n/a,/b\n/b,301 /c#top\n/c,/a?from=c\n/self,/self\n");
        let lines: Vec<_> = wrong.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 2, 3, 4, 5], "{wrong:?}");
        assert!(wrong[1].1.ends_with("/a → /b → /c → /a"), "{wrong:?}");
        let hosts = problems("a.example/x,https://B.example/x\nb.example/x,http://a.example/x\n");
        assert_eq!(hosts.len(), 2, "{hosts:?}");
    }

    #[test]
    fn a_chain_too_long_is_told() {
        let content: String = (0..12).map(|hop| format!("/{hop},/{}\n", hop + 1)).collect();
        assert_eq!(problems(&content).len(), 2);
    }
}
