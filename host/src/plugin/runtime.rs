//! From a bundle to a generation.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Weak};
use std::thread;

use anyhow::Context as _;
use parking_lot::Mutex;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::artefact::{Artefacts, Facts};
use super::contract;
use super::custom::Gauges;
use super::failure::FailureLog;
use super::folder::{Key, KeyBuilder};
use super::generation::{Generation, Plugin, Resources, Start};
use super::instance::{Mould, drive};
use super::interest::Interest;
use super::phases::PhaseSet;
use super::shared::clock::Clock;
use super::shared::counters::{self, Space};
use super::shared::kv::{Budget, Namespace};
use super::shared::tables::Table;
use super::shared::tables::csv::LineProblem;
use super::shared::tables::kept::KeptTables;
use super::snapshot::Instrumented;
use super::state::{NamedSpace, NamedTable};
use super::{engine, hostcalls, selftest};
use crate::bundle::{Bundle, Manifest, Problem, Problems, TableFile};
use crate::config;
use crate::telemetry::{Registry, families};

/// What all generations of this process share: the engine and its clock, compiled plugins, counters, values and tables.
pub struct Runtime {
    engine: Engine,
    /// Whether the engine's clock was started.
    ticks: Mutex<bool>,
    artefacts: Option<Artefacts>,
    tables: KeptTables,
    registry: Arc<Registry>,
    /// Bytes that counters may take together.
    counters_limit: u64,
    kv_budget: Arc<Budget>,
    kept: Mutex<Kept>,
}

/// What outlives a generation as long as the next one uses it, too.
#[derive(Default)]
struct Kept {
    /// By plugin, space and entries: a space of another size is another one.
    spaces: HashMap<(String, String, u64), Weak<Space>>,
    namespaces: HashMap<String, Weak<Namespace>>,
    gauges: HashMap<String, Weak<Gauges>>,
    /// By what they were loaded from.
    tables: HashMap<Key, Weak<Table>>,
}

impl Runtime {
    /// Starts the engine and opens what is kept on disk.
    ///
    /// # Errors
    /// When the machine cannot give the engine what it needs, or the state folder cannot be used.
    pub fn new(config: &config::Plugins, metrics: Arc<Registry>) -> anyhow::Result<Arc<Self>> {
        let folder = config.state.join("artefacts");
        let artefacts = Artefacts::open(&folder)
            .with_context(|| format!("cannot use {} (plugins.state) for compiled plugins", folder.display()))?;
        let folder = config.state.join("tables");
        let tables = KeptTables::open(&folder)
            .with_context(|| format!("cannot use {} (plugins.state) for tables", folder.display()))?;
        Self::start(Some(artefacts), tables, config.counters, config.kv, metrics)
    }

    /// A runtime that keeps nothing on disk.
    ///
    /// # Errors
    /// When the machine cannot give the engine what it needs.
    pub fn in_memory() -> anyhow::Result<Arc<Self>> {
        Self::start(None, KeptTables::none(), 64 << 20, 64 << 20, Registry::new())
    }

    fn start(
        artefacts: Option<Artefacts>,
        tables: KeptTables,
        counters: u64,
        kv: u64,
        registry: Arc<Registry>,
    ) -> anyhow::Result<Arc<Self>> {
        let engine = engine::start().context("cannot start the WebAssembly engine")?;
        let kept = Mutex::default();
        Ok(Arc::new(Self {
            engine,
            ticks: Mutex::new(false),
            artefacts,
            tables,
            registry,
            counters_limit: counters,
            kv_budget: Budget::new(kv),
            kept,
        }))
    }

    /// Makes a generation of a bundle: every component is checked, compiled, configured and instantiated, and the bundle's own
    /// requests are answered as they should be. Takes as long as that takes; not for a thread that serves.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load(&self, bundle: &Bundle, number: u64) -> Result<Arc<Generation>, Problems> {
        self.load_as(bundle, number, Configure::Once)
    }

    /// The same, for a bundle that is used once: each instance is configured by itself, which saves compiling twice.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load_for_test(&self, bundle: &Bundle) -> Result<Arc<Generation>, Problems> {
        self.load_as(bundle, 0, Configure::Each)
    }

    fn load_as(&self, bundle: &Bundle, number: u64, configure: Configure) -> Result<Arc<Generation>, Problems> {
        let mut problems = Problems::default();
        if !bundle.plugins.is_empty()
            && let Err(error) = self.start_ticks()
        {
            return Err(Problems::one(
                bundle.label(),
                None,
                format!("plugins cannot run: {error}"),
            ));
        }
        self.check_counters(bundle, &mut problems);
        let mut plugins = Vec::with_capacity(bundle.plugins.len());
        // Compiling and configuring is what takes time: all plugins at once.
        let loaded: Vec<_> = thread::scope(|scope| {
            let load = |manifest| scope.spawn(move || self.plugin(bundle, manifest, configure));
            let threads: Vec<_> = bundle.plugins.iter().map(load).collect();
            threads.into_iter().map(thread::ScopedJoinHandle::join).collect()
        });
        for (result, manifest) in loaded.into_iter().zip(&bundle.plugins) {
            match result {
                Ok(Ok(plugin)) => plugins.push(Arc::new(plugin)),
                Ok(Err(found)) => problems.extend(found),
                Err(_) => problems.push(bundle.problem(
                    manifest.places.component,
                    format!(
                        "`{}` could not be compiled: the compiler gave up on it",
                        manifest.component_path
                    ),
                )),
            }
        }
        problems.into_result()?;
        let generation = Arc::new(Generation::new(
            number,
            &bundle.name,
            &bundle.version,
            plugins,
            Arc::clone(&self.registry),
        ));
        selftest::run(&generation, bundle)?;
        Ok(generation)
    }

    fn start_ticks(&self) -> std::io::Result<()> {
        let mut ticks = self.ticks.lock();
        if !*ticks {
            engine::tick(&self.engine)?;
            *ticks = true;
        }
        Ok(())
    }

    fn check_counters(&self, bundle: &Bundle, problems: &mut Problems) {
        let spaces = || bundle.plugins.iter().flat_map(|plugin| &plugin.counters);
        let bytes: u64 = spaces()
            .map(|space| space.entries.saturating_mul(counters::ENTRY_BYTES))
            .sum();
        if bytes > self.counters_limit
            && let Some(largest) = spaces().max_by_key(|space| space.entries)
        {
            problems.push(bundle.problem(
                largest.line,
                format!(
                    "the bundle's counters need {bytes} bytes, the configuration allows {} (plugins.counters); this is the \
                     largest space",
                    self.counters_limit
                ),
            ));
        }
    }

    fn plugin(&self, bundle: &Bundle, manifest: &Manifest, configure: Configure) -> Result<Plugin, Vec<Problem>> {
        let problem = |line: usize, message: String| vec![bundle.problem(line, message)];
        contract::check(manifest).map_err(|refusals| {
            refusals
                .into_iter()
                .map(|refusal| bundle.problem(refusal.line, refusal.message))
                .collect::<Vec<_>>()
        })?;
        let resources = self.resources(bundle, manifest)?;
        let prepared = self.prepared(manifest, &resources, configure);
        let Prepared { component, facts } = prepared.map_err(|Refused { line, message }| problem(line, message))?;
        let path = &manifest.component_path;
        let linker = hostcalls::linker(&self.engine, &manifest.capabilities);
        let pre = linker
            .and_then(|linker| linker.instantiate_pre(&component))
            .map_err(|error| {
                problem(
                    manifest.places.component,
                    format!("`{path}` does not fit the plugin contract: {:#}", error.root_cause()),
                )
            })?;
        let (start, configuration) = match &facts.configured_each {
            None => (Start::Snapshot, None),
            Some(reason) => (Start::Configured(reason.clone()), Some(manifest.config.to_string())),
        };
        let mould = Mould::new(pre, &manifest.limits, facts.phases(), configuration).map_err(|error| {
            problem(
                manifest.places.component,
                format!("`{path}` does not fit the plugin contract: {error}"),
            )
        })?;
        let mut plugin = Plugin {
            name: Arc::clone(&manifest.name),
            mould,
            matcher: manifest.matcher.clone(),
            interest: facts.interest,
            limits: manifest.limits,
            on_failure: manifest.on_failure,
            failures: FailureLog::default(),
            start,
            resources,
            tallies: Mutex::default(),
            parks: false,
        };
        // One instance shows that there can be any. It keeps nothing yet; a plugin that does not give that up never will.
        let services = plugin
            .resources
            .apart()
            .services(&plugin.name, &plugin.limits, Clock::System, &Registry::new());
        let tried = drive(plugin.mould.cast(&Arc::new(services))).and_then(|mut instance| instance.park());
        match tried {
            Ok(parked) => {
                plugin.parks = parked.is_some();
                Ok(plugin)
            }
            Err(failed) => Err(problem(
                manifest.places.limits,
                format!("plugin `{}`: {}", plugin.name, failed.detail),
            )),
        }
    }

    /// The compiled and configured component: from disk where it was made before.
    fn prepared(&self, manifest: &Manifest, resources: &Resources, configure: Configure) -> Result<Prepared, Refused> {
        let key = self.key(manifest, configure);
        let tables = || tables_digest(manifest);
        if let Some(artefacts) = &self.artefacts
            && let Some((component, facts)) = artefacts.find(&self.engine, key)
            && facts.tables.as_ref().is_none_or(|looked_into| *looked_into == tables())
        {
            return Ok(Prepared { component, facts });
        }
        let Made {
            code,
            configured_each,
            configured,
        } = self.make(manifest, resources, configure)?;
        let facts = Facts {
            phases: configured.phases.bits(),
            interest: configured.interest,
            configured_each,
            tables: configured.read_tables.then(tables),
        };
        if let Some(artefacts) = &self.artefacts
            && let Err(error) = artefacts.store(key, &code, &facts)
        {
            tracing::warn!(plugin = %manifest.name, %error, "the compiled plugin could not be kept; the next start compiles it again");
        }
        // SAFETY: these bytes were made by `precompile_component` of this engine a moment ago, and went nowhere else.
        let component = unsafe { Component::deserialize(&self.engine, &code) };
        let component =
            component.map_err(|error| Refused::component(manifest, &format!("cannot be loaded: {error:#}")))?;
        Ok(Prepared { component, facts })
    }

    fn make(&self, manifest: &Manifest, resources: &Resources, configure: Configure) -> Result<Made, Refused> {
        let compile = |component: &[u8]| {
            let code = self.engine.precompile_component(component);
            code.map_err(|error| Refused::component(manifest, &format!("does not compile: {error:#}")))
        };
        let reason = match configure {
            Configure::Each => "it runs for tests only".to_owned(),
            Configure::Once => match Instrumented::new(&manifest.component) {
                Err(reason) => reason,
                Ok(instrumented) => {
                    let code = compile(&instrumented.component)?;
                    let (configured, mut instance) = self.configure(&code, manifest, resources)?;
                    match instrumented.snapshot(&mut instance.store, instance.handles) {
                        Ok(snapshot) => {
                            return Ok(Made {
                                code: compile(&snapshot)?,
                                configured_each: None,
                                configured,
                            });
                        }
                        Err(reason) => reason,
                    }
                }
            },
        };
        let code = compile(&manifest.component)?;
        let (configured, _) = self.configure(&code, manifest, resources)?;
        Ok(Made {
            code,
            configured_each: Some(reason),
            configured,
        })
    }

    /// Instantiates compiled code and gives it its configuration.
    fn configure(
        &self,
        code: &[u8],
        manifest: &Manifest,
        resources: &Resources,
    ) -> Result<(Configured, super::instance::Instance), Refused> {
        let refused = |error: wasmtime::Error| {
            Refused::component(
                manifest,
                &format!("does not fit the plugin contract: {:#}", error.root_cause()),
            )
        };
        // SAFETY: as in `prepared`: made by this engine a moment ago.
        let component = unsafe { Component::deserialize(&self.engine, code) }.map_err(refused)?;
        let linker = hostcalls::linker(&self.engine, &manifest.capabilities).map_err(refused)?;
        let pre = linker.instantiate_pre(&component).map_err(refused)?;
        let mould = Mould::new(pre, &manifest.limits, PhaseSet::default(), None).map_err(refused)?;
        // What `configure` counts or keeps is nobody's traffic.
        let services = resources
            .apart()
            .services(&manifest.name, &manifest.limits, Clock::System, &Registry::new());
        let instance = drive(mould.bare(&Arc::new(services)));
        let mut instance = instance.map_err(|error| Refused {
            line: manifest.places.limits,
            message: format!(
                "plugin `{}` cannot be instantiated: {:#}",
                manifest.name,
                error.root_cause()
            ),
        })?;
        let here = |message: String| Refused {
            line: manifest.places.config,
            message,
        };
        let phases = match drive(instance.configure(&manifest.config.to_string())) {
            Ok(Ok(phases)) => phases,
            Ok(Err(message)) => {
                return Err(here(format!(
                    "plugin `{}` refuses its configuration: {message}",
                    manifest.name
                )));
            }
            Err(failed) => {
                let name = &manifest.name;
                return Err(here(format!(
                    "plugin `{name}` failed to configure itself ({}): {}",
                    failed.cause.as_str(),
                    failed.detail
                )));
            }
        };
        let state = instance.store.data_mut();
        let configured = Configured {
            phases,
            read_tables: state.read_tables,
            interest: std::mem::take(&mut state.interest),
        };
        Ok((configured, instance))
    }

    fn key(&self, manifest: &Manifest, configure: Configure) -> Key {
        let mut settings = std::hash::DefaultHasher::new();
        self.engine.precompile_compatibility_hash().hash(&mut settings);
        let mut key = KeyBuilder::default();
        key.part(contract::VERSION.as_bytes())
            .part(&settings.finish().to_le_bytes())
            .part(&[configure as u8])
            .part(&manifest.component)
            .part(manifest.config.to_string().as_bytes())
            .part(&manifest.limits.memory.to_le_bytes());
        for (name, data) in &manifest.data {
            key.part(name.as_bytes()).part(&data.content);
        }
        // The configured memory may hold handles, which are positions.
        for table in &manifest.tables {
            key.part(b"table").part(table.name.as_bytes());
        }
        for space in &manifest.counters {
            key.part(b"counters").part(space.name.as_bytes());
        }
        key.finish()
    }

    fn resources(&self, bundle: &Bundle, manifest: &Manifest) -> Result<Resources, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut tables = Vec::with_capacity(manifest.tables.len());
        for file in &manifest.tables {
            match self.table(file) {
                Ok(table) => tables.push(NamedTable {
                    name: file.name.clone(),
                    table,
                }),
                Err(found) => problems.extend(found.into_iter().map(|problem| {
                    let folder = bundle.label().strip_suffix(crate::bundle::MANIFEST).unwrap_or_default();
                    let line = usize::try_from(problem.line).unwrap_or(usize::MAX);
                    Problem::at(&format!("{folder}{}", file.path), line, problem.message)
                })),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let plugin = manifest.name.to_string();
        let mut kept = self.kept.lock();
        let spaces = manifest.counters.iter().map(|space| {
            let key = (plugin.clone(), space.name.clone(), space.entries);
            let (shared, new) = shared(&mut kept.spaces, key, || Space::new(space.entries));
            if new {
                self.show(&plugin, &space.name, &shared);
            }
            NamedSpace {
                name: space.name.clone(),
                space: shared,
            }
        });
        let spaces = spaces.collect();
        let (kv, _) = shared(&mut kept.namespaces, plugin.clone(), || Namespace::new(&self.kv_budget));
        let (gauges, _) = shared(&mut kept.gauges, plugin, Arc::default);
        Ok(Resources {
            tables: tables.into(),
            spaces,
            kv,
            gauges,
            data: Arc::new(manifest.data.clone()),
            declared: manifest.counters.clone(),
        })
    }

    /// Shows how full a space is, as long as it is there.
    fn show(&self, plugin: &str, name: &str, space: &Arc<Space>) {
        let weak = Arc::downgrade(space);
        let probe = self
            .registry
            .probe(&families::COUNTER_ENTRIES, &[plugin, name], move || {
                weak.upgrade().map_or(0.0, |space| space.len() as f64)
            });
        space.shown_by(probe);
    }

    fn table(&self, file: &TableFile) -> Result<Arc<Table>, Vec<LineProblem>> {
        let key = KeptTables::key(file);
        if let Some(table) = self.kept.lock().tables.get(&key).and_then(Weak::upgrade) {
            return Ok(table);
        }
        // Without the lock: a table of millions takes a while. Two at once would be waste, not harm.
        let table = Arc::new(self.tables.table(key, file)?);
        let mut kept = self.kept.lock();
        kept.tables.retain(|_, table| table.strong_count() > 0);
        kept.tables.insert(key, Arc::downgrade(&table));
        Ok(table)
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").finish_non_exhaustive()
    }
}

/// When `configure` runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Configure {
    /// When the bundle is loaded.
    Once,
    /// When an instance is made.
    Each,
}

struct Prepared {
    component: Component,
    facts: Facts,
}

struct Made {
    code: Vec<u8>,
    configured_each: Option<String>,
    configured: Configured,
}

/// What `configure` answered and did.
struct Configured {
    phases: PhaseSet,
    read_tables: bool,
    interest: Interest,
}

/// Why a plugin cannot be loaded, and the line of the manifest that it is about.
struct Refused {
    line: usize,
    message: String,
}

impl Refused {
    fn component(manifest: &Manifest, message: &str) -> Self {
        Self {
            line: manifest.places.component,
            message: format!("`{}` {message}", manifest.component_path),
        }
    }
}

/// What lives under this key, or a new one; and whether it is new.
fn shared<K: Eq + Hash, T>(kept: &mut HashMap<K, Weak<T>>, key: K, make: impl FnOnce() -> Arc<T>) -> (Arc<T>, bool) {
    if let Some(known) = kept.get(&key).and_then(Weak::upgrade) {
        return (known, false);
    }
    kept.retain(|_, known| known.strong_count() > 0);
    let new = make();
    kept.insert(key, Arc::downgrade(&new));
    (new, true)
}

fn tables_digest(manifest: &Manifest) -> String {
    let mut hasher = blake3::Hasher::new();
    for table in &manifest.tables {
        hasher.update(blake3::hash(&table.content).as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}
