//! Between the contract's exports and a [`Plugin`]: used by what the attribute generates and by the fake host.

use std::cell::{Cell, OnceCell, RefCell};

use crate::{Completeness, Plugin, Request, Response, Setup, Summary, Verdict, allocator, host};

/// What a component keeps in its memory: the configured plugin, and the state of the exchange that it is serving.
///
/// `configure` fills in the plugin before the memory is snapshotted, so no call on traffic has anything left to set up.
pub struct Instance<P: Plugin> {
    plugin: OnceCell<P>,
    state: RefCell<Option<P::State>>,
    freshness: Cell<Freshness>,
}

/// Whether an exchange has left its traces in the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Freshness {
    /// It is as an exchange finds it at its start.
    Fresh,
    /// An exchange has it, or had it until it broke off.
    Used,
}

/// A verdict without its content, which went to the host before: the contract's `verdict`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Go on.
    Continue,
    /// Hold the body.
    Hold,
    /// Answer with what was given to the host.
    Reply,
    /// Close the connection.
    Close,
}

impl<P: Plugin> Instance<P> {
    /// An instance before `configure`.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            plugin: OnceCell::new(),
            state: RefCell::new(None),
            freshness: Cell::new(Freshness::Fresh),
        }
    }

    /// Makes the plugin from its configuration, which is JSON.
    ///
    /// # Errors
    /// What is wrong with the configuration, for the operator.
    pub fn configure(&self, config: &str) -> Result<crate::Phases, String> {
        let mut setup = Setup::new(P::PHASES);
        let plugin = P::configure(parse(config)?, &mut setup).map_err(|error| error.to_string())?;
        match self.plugin.set(plugin) {
            Ok(()) => {
                allocator::settle();
                Ok(setup.wanted())
            }
            Err(_) => Err("configure was called twice".to_owned()),
        }
    }

    /// The first phase of an exchange, where the plugin has it.
    pub fn on_request(&self) -> Decision {
        self.renew();
        self.decide(|plugin, state| plugin.on_request(state, &mut Request::handle()))
    }

    /// After `on_request` held the body.
    pub fn on_request_body(&self, body: &[u8], complete: bool) -> Decision {
        let completeness = completeness(complete);
        self.decide(|plugin, state| {
            held_once(plugin.on_request_body(state, &mut Request::handle(), body, completeness))
        })
    }

    /// The first phase of an exchange, where the plugin has no `on_request`.
    pub fn on_response(&self) -> Decision {
        if !P::PHASES.contains(crate::Phases::ON_REQUEST) {
            self.renew();
        }
        self.decide(|plugin, state| plugin.on_response(state, &Request::handle(), &mut Response::handle()))
    }

    /// After `on_response` held the body.
    pub fn on_response_body(&self, body: &[u8], complete: bool) -> Decision {
        let completeness = completeness(complete);
        self.decide(|plugin, state| {
            let mut response = Response::handle();
            held_once(plugin.on_response_body(state, &Request::handle(), &mut response, body, completeness))
        })
    }

    /// The last phase of an exchange.
    pub fn on_finish(&self, summary: &Summary) {
        if let (Some(plugin), Ok(mut state)) = (self.plugin.get(), self.state.try_borrow_mut()) {
            self.freshness.set(Freshness::Used);
            plugin.on_finish(state.get_or_insert_default(), &Request::handle(), summary);
        }
        self.renew();
    }

    /// All that the plugin keeps of the exchange, which is forgotten here; `None` where it has to stay.
    pub fn park(&self) -> Option<Vec<u8>> {
        let parked = {
            let mut state = self.state.try_borrow_mut().ok()?;
            self.plugin.get()?.park(state.get_or_insert_default())?
        };
        self.renew();
        Some(parked)
    }

    /// Goes on with an exchange that was parked.
    ///
    /// # Errors
    /// When what was parked cannot be read.
    pub fn resume(&self, parked: &[u8]) -> Result<(), String> {
        self.renew();
        let (Some(plugin), Ok(mut state)) = (self.plugin.get(), self.state.try_borrow_mut()) else {
            return Err("this is no time for it".to_owned());
        };
        self.freshness.set(Freshness::Used);
        plugin
            .resume(state.get_or_insert_default(), parked)
            .map_err(|error| error.to_string())
    }

    /// Makes the state one for a new exchange.
    fn renew(&self) {
        if self.freshness.get() == Freshness::Fresh {
            return;
        }
        if let (Some(plugin), Ok(mut state)) = (self.plugin.get(), self.state.try_borrow_mut()) {
            if let Some(state) = state.as_mut() {
                plugin.renew(state);
            }
            self.freshness.set(Freshness::Fresh);
        }
    }

    /// Calls the plugin with the state of the exchange and gives the host what belongs to its verdict.
    ///
    /// A call before `configure`, or from within another, is none of the contract's; it decides nothing and shuts the door.
    fn decide(&self, phase: impl FnOnce(&P, &mut P::State) -> Verdict) -> Decision {
        let (Some(plugin), Ok(mut state)) = (self.plugin.get(), self.state.try_borrow_mut()) else {
            return Decision::Close;
        };
        self.freshness.set(Freshness::Used);
        match phase(plugin, state.get_or_insert_default()) {
            Verdict::Continue => Decision::Continue,
            Verdict::Hold { limit } => {
                host::hold(limit);
                Decision::Hold
            }
            Verdict::Reply(reply) => {
                host::reply(reply);
                Decision::Reply
            }
            Verdict::Close => Decision::Close,
        }
    }
}

impl<P: Plugin> Default for Instance<P> {
    fn default() -> Self {
        Self::new()
    }
}

/// A body phase has seen what there was to hold.
fn held_once(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Hold { .. } => Verdict::Continue,
        verdict => verdict,
    }
}

fn completeness(complete: bool) -> Completeness {
    if complete {
        Completeness::Complete
    } else {
        Completeness::Cut
    }
}

/// Reads the configuration, naming the key where it is wrong. By way of a value, because the position in the JSON that the
/// host wrote says nothing to the operator.
fn parse<C: serde::de::DeserializeOwned>(config: &str) -> Result<C, String> {
    let value: serde_json::Value =
        serde_json::from_str(config).map_err(|error| format!("the configuration is not JSON: {error}"))?;
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        if path == "." {
            error.inner().to_string()
        } else {
            format!("{path}: {}", error.inner())
        }
    })
}

/// The contract's side of the types above.
#[cfg(target_arch = "wasm32")]
pub mod component {
    use super::{Decision, Instance};
    use crate::Plugin;
    use crate::log;

    pub use crate::bindings::exports::weir::plugin::handler::{Guest, Phases, Summary, Verdict};

    /// Configures the instance, after making sure that a panic in the plugin says something before it traps.
    pub fn configure<P: Plugin>(instance: &Instance<P>, config: &str) -> Result<Phases, String> {
        std::panic::set_hook(Box::new(|panic| log::error(&panic.to_string())));
        instance
            .configure(config)
            .map(|phases| Phases::from_bits_retain(phases.bits()))
    }

    impl From<Decision> for Verdict {
        fn from(decision: Decision) -> Self {
            match decision {
                Decision::Continue => Self::Continue,
                Decision::Hold => Self::Hold,
                Decision::Reply => Self::Reply,
                Decision::Close => Self::Close,
            }
        }
    }

    impl From<Summary> for crate::Summary {
        fn from(summary: Summary) -> Self {
            Self {
                status: summary.status,
                duration: summary.duration,
                request_bytes: summary.request_bytes,
                response_bytes: summary.response_bytes,
            }
        }
    }
}

/// Exports a plugin from a component; natively there is nothing to export.
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_plugin {
    ($plugin:ty) => {
        const _: () = {
            ::std::thread_local! {
                static INSTANCE: $crate::glue::Instance<$plugin> = const { $crate::glue::Instance::new() };
            }

            struct Component;

            impl $crate::glue::component::Guest for Component {
                fn configure(
                    config: ::std::string::String,
                ) -> ::std::result::Result<$crate::glue::component::Phases, ::std::string::String> {
                    INSTANCE.with(|instance| $crate::glue::component::configure(instance, &config))
                }

                fn on_request() -> $crate::glue::component::Verdict {
                    INSTANCE.with(|instance| instance.on_request().into())
                }

                fn on_request_body(body: ::std::vec::Vec<u8>, complete: bool) -> $crate::glue::component::Verdict {
                    INSTANCE.with(|instance| instance.on_request_body(&body, complete).into())
                }

                fn on_response() -> $crate::glue::component::Verdict {
                    INSTANCE.with(|instance| instance.on_response().into())
                }

                fn on_response_body(body: ::std::vec::Vec<u8>, complete: bool) -> $crate::glue::component::Verdict {
                    INSTANCE.with(|instance| instance.on_response_body(&body, complete).into())
                }

                fn on_finish(summary: $crate::glue::component::Summary) {
                    INSTANCE.with(|instance| instance.on_finish(&summary.into()));
                }

                fn park() -> ::std::option::Option<::std::vec::Vec<u8>> {
                    INSTANCE.with(|instance| instance.park())
                }

                fn resume(parked: ::std::vec::Vec<u8>) -> ::std::result::Result<(), ::std::string::String> {
                    INSTANCE.with(|instance| instance.resume(&parked))
                }
            }

    $crate::bindings::export_bindings!(Component with_types_in $crate::bindings);
        };
    };
}

/// Exports a plugin from a component; natively there is nothing to export, only a use, so that the plugin is no dead code.
#[cfg(not(target_arch = "wasm32"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_plugin {
    ($plugin:ty) => {
        const _: $crate::glue::Instance<$plugin> = $crate::glue::Instance::new();
    };
}
