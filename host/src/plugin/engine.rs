//! The WebAssembly engine: how plugins are compiled, where their memory comes from, and what stops them.

use std::thread;
use std::time::Duration;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, WasmFeatures};

/// How often a running plugin is looked at: it yields to the worker's other exchanges, or is stopped when its time is over. Every
/// tick wakes a thread, which costs more than many a plugin's call.
pub(super) const TICK: Duration = Duration::from_millis(4);

/// Most instances at once, of all plugins, generations and workers. Each reserves 4 GiB of address space, of which it uses what it
/// touches: with 47 bits there is room for this many and as much again.
const INSTANCES: u32 = 8_192;
/// Core modules in one component: the plugin's own, and what adapts it to the component model.
const MODULES_EACH: u32 = 8;
/// Memory that is cleared by writing zeroes instead of giving it back to the operating system: cheaper up to about here.
const KEEP_RESIDENT: usize = 128 << 10;
/// A plugin's own stack.
const WASM_STACK: usize = 512 << 10;
/// The same, and what host functions need on top of it.
const FIBER_STACK: usize = 1 << 20;

/// Makes the engine. What it runs is stopped only while its clock [ticks](tick).
pub(super) fn start() -> anyhow::Result<Engine> {
    Ok(Engine::new(&config())?)
}

/// Starts the engine's clock, which runs as long as the engine is used; a Weir without plugins has none.
pub(super) fn tick(engine: &Engine) -> std::io::Result<()> {
    let weak = engine.weak();
    thread::Builder::new()
        .name("weir-ticks".to_owned())
        .spawn(move || {
            while let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
                drop(engine);
                thread::sleep(TICK);
            }
        })
        .map(drop)
}

fn config() -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES)
        .total_core_instances(INSTANCES * MODULES_EACH)
        .total_memories(INSTANCES)
        .total_tables(INSTANCES * 2)
        .total_stacks(INSTANCES)
        .max_core_instances_per_component(32)
        .max_memories_per_component(2)
        .max_tables_per_component(8)
        .max_tables_per_module(4)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(16 << 10)
        .async_stack_keep_resident(16 << 10)
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(24))
        // What plugins have no use for cannot surprise us.
        .wasm_features(WasmFeatures::THREADS | WasmFeatures::MEMORY64, false);
    config
}
