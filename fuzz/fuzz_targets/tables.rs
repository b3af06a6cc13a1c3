//! Any bytes are a table or a list of lines that are wrong; a table answers any key, and the same after it was kept on disk.
#![no_main]

use std::net::Ipv6Addr;

use libfuzzer_sys::fuzz_target;
use weir::bundle::TableKind;
use weir::plugin::shared::tables::Table;

fuzz_target!(|data: (u8, bool, u128, &[u8], &[u8])| {
    let (kind, header, address, key, content) = data;
    let kind = [TableKind::Exact, TableKind::Prefix, TableKind::Ip][usize::from(kind) % 3];
    let Ok(table) = Table::load(kind, content, header) else { return };
    let mut image = Vec::new();
    table.write(&mut image).expect("memory takes every byte");
    let kept = Table::read(image.into()).expect("what was written a moment ago");
    assert_eq!(table.size(), kept.size());
    assert_eq!(table.lookup(key), kept.lookup(key));
    assert_eq!(table.longest_prefix(key), kept.longest_prefix(key));
    let address = Ipv6Addr::from_bits(address).into();
    assert_eq!(table.lookup_ip(address), kept.lookup_ip(address));
});
