//! Configuring a plugin once: its memory as it is after `configure` becomes what every instance begins with.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wasmtime::component::{Instance as Handles, Lift, WasmList};
use wasmtime::{Store, format_err};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

use super::instance::drive;
use super::state::State;

/// A component that was changed so that its state can be read from outside, and what is needed to put the state back.
pub(super) struct Instrumented<'a> {
    wizer: Wizer,
    context: wasmtime_wizer::ComponentContext<'a>,
    /// The changed component.
    pub(super) component: Vec<u8>,
}

impl<'a> Instrumented<'a> {
    /// Changes a component so that its state can be read.
    ///
    /// # Errors
    /// Why that is not possible with this one.
    pub(super) fn new(component: &'a [u8]) -> Result<Self, String> {
        let wizer = Wizer::new();
        let (context, component) = guarded(|| wizer.instrument_component(component))?;
        Ok(Self {
            wizer,
            context,
            component,
        })
    }

    /// The component with the state that this instance has now.
    ///
    /// # Errors
    /// Why that is not possible.
    pub(super) fn snapshot(&self, store: &mut Store<State>, handles: Handles) -> Result<Vec<u8>, String> {
        let mut reader = Reader {
            store,
            handles,
            failed: None,
        };
        let snapshot = guarded(|| drive(self.wizer.snapshot_component(&self.context, &mut reader)))?;
        match reader.failed {
            None => Ok(snapshot),
            Some(error) => Err(error.to_string()),
        }
    }
}

/// The tool asserts what it expects of components, and these come from outside.
fn guarded<T>(work: impl FnOnce() -> wasmtime::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| error.root_cause().to_string()),
        Err(_) => Err("the snapshot tool gave up on it".to_owned()),
    }
}

/// Reads an instance's state through the functions that were added to it.
struct Reader<'a> {
    store: &'a mut Store<State>,
    handles: Handles,
    /// The interface cannot say that reading failed: the first reason is kept here.
    failed: Option<wasmtime::Error>,
}

impl Reader<'_> {
    async fn read<R: Lift + Send + Sync + 'static>(&mut self, instance: &str, function: &str) -> Option<R> {
        match self.try_read(instance, function).await {
            Ok(value) => Some(value),
            Err(error) => {
                self.failed.get_or_insert(error);
                None
            }
        }
    }

    async fn try_read<R: Lift + Send + Sync + 'static>(
        &mut self,
        instance: &str,
        function: &str,
    ) -> wasmtime::Result<R> {
        let missing = || format_err!("the instrumented component has no `{instance}#{function}`");
        let instance_index = self
            .handles
            .get_export_index(&mut *self.store, None, instance)
            .ok_or_else(missing)?;
        let index = self
            .handles
            .get_export_index(&mut *self.store, Some(&instance_index), function)
            .ok_or_else(missing)?;
        let function = self.handles.get_typed_func::<(), (R,)>(&mut *self.store, index)?;
        self.store.set_epoch_deadline(1);
        Ok(function.call_async(&mut *self.store, ()).await?.0)
    }
}

impl ComponentInstanceState for Reader<'_> {
    async fn call_func_ret_list_u8(&mut self, instance: &str, func: &str, contents: impl FnOnce(&[u8]) + Send) {
        match self.read::<WasmList<u8>>(instance, func).await {
            Some(list) => contents(list.as_le_slice(&*self.store)),
            None => contents(&[]),
        }
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.read(instance, func).await.unwrap_or_default()
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.read(instance, func).await.unwrap_or_default()
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        self.read::<f32>(instance, func).await.unwrap_or_default().to_bits()
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        self.read::<f64>(instance, func).await.unwrap_or_default().to_bits()
    }
}
