//! Arguments to configuration to workers; no logic.

#[global_allocator]
static ALLOCATOR: weir::allocator::Mimalloc = weir::allocator::Mimalloc;

fn main() -> std::process::ExitCode {
    weir::allocator::forgo_huge_pages();
    weir::cli::run()
}
