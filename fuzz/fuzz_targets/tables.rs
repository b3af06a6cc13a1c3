//! Any bytes are a table or a list of lines that are wrong, and a table answers any key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir::bundle::TableKind;
use weir::plugin::shared::tables::Table;

fuzz_target!(|data: (u8, bool, &[u8])| {
    let (kind, header, content) = data;
    let kind = [TableKind::Exact, TableKind::Prefix, TableKind::Ip][usize::from(kind) % 3];
    if let Ok(table) = Table::load(kind, content, header) {
        let _ = (table.size(), table.bytes());
    }
});
