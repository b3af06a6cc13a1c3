//! The attribute of `weir-sdk`. See [`macro@plugin`].

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, ImplItem, ItemImpl, parse_quote};

/// A phase's method, its constant, and the phase that has to hold the body for it.
const PHASES: [(&str, &str, Option<&str>); 5] = [
    ("on_request", "ON_REQUEST", None),
    ("on_request_body", "ON_REQUEST_BODY", Some("on_request")),
    ("on_response", "ON_RESPONSE", None),
    ("on_response_body", "ON_RESPONSE_BODY", Some("on_response")),
    ("on_finish", "ON_FINISH", None),
];

/// Makes a component of an `impl Plugin for …`.
///
/// It looks at which phases the `impl` has a method for, and writes them down as `Plugin::PHASES`, so that Weir calls no
/// other; on `wasm32` it also exports the functions of the contract. One plugin a crate: two would export the same names.
#[proc_macro_attribute]
pub fn plugin(arguments: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand(arguments.into(), item.into())
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

fn expand(arguments: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    if !arguments.is_empty() {
        return Err(Error::new_spanned(arguments, "#[plugin] takes no arguments"));
    }
    let mut item: ItemImpl = syn::parse2(item)
        .map_err(|error| Error::new(error.span(), "#[plugin] goes on an `impl Plugin for YourPlugin { … }`"))?;
    check(&item)?;
    let phases = phases(&item)?;
    item.items.insert(
        0,
        parse_quote! {
            const PHASES: ::weir_sdk::Phases = ::weir_sdk::Phases::NONE #(.union(::weir_sdk::Phases::#phases))*;
        },
    );
    let plugin = &item.self_ty;
    Ok(quote! {
        #item
        ::weir_sdk::__export_plugin!(#plugin);
    })
}

fn check(item: &ItemImpl) -> syn::Result<()> {
    let names_plugin = item
        .trait_
        .as_ref()
        .and_then(|(_, path, _)| path.segments.last())
        .is_some_and(|segment| segment.ident == "Plugin");
    if !names_plugin {
        return Err(Error::new_spanned(
            &item.self_ty,
            "#[plugin] goes on an `impl Plugin for YourPlugin { … }`",
        ));
    }
    if !item.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &item.generics,
            "a plugin has no type parameters: a component is one type",
        ));
    }
    Ok(())
}

/// The constants of the phases that the `impl` has a method for.
fn phases(item: &ItemImpl) -> syn::Result<Vec<syn::Ident>> {
    let methods: Vec<&syn::Ident> = item
        .items
        .iter()
        .filter_map(|item| match item {
            ImplItem::Fn(method) => Some(&method.sig.ident),
            _ => None,
        })
        .collect();
    let mut found = Vec::new();
    for (method, constant, holder) in PHASES {
        let Some(ident) = methods.iter().find(|ident| **ident == method) else {
            continue;
        };
        if let Some(holder) = holder
            && !methods.iter().any(|ident| *ident == holder)
        {
            let message =
                format!("`{method}` is called after `{holder}` answered `Verdict::Hold`: write `{holder}`, too");
            return Err(Error::new_spanned(ident, message));
        }
        found.push(syn::Ident::new(constant, ident.span()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn expanded(item: TokenStream) -> String {
        match expand(TokenStream::new(), item) {
            Ok(tokens) => tokens.to_string(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn the_phases_are_the_methods_that_are_there() {
        let text = expanded(quote! { impl Plugin for A { fn configure() {} fn on_finish() {} fn on_request() {} } });
        assert!(
            text.contains(
                "NONE . union (:: weir_sdk :: Phases :: ON_REQUEST) . union (:: weir_sdk :: Phases :: ON_FINISH) ;"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_plugin_without_phases_has_none() {
        let text = expanded(quote! { impl weir_sdk::Plugin for A { fn configure() {} } });
        assert!(text.contains("Phases :: NONE ;"), "{text}");
    }

    #[test]
    fn a_body_phase_that_nothing_holds_for_is_refused() {
        let text = expanded(quote! { impl Plugin for A { fn on_response_body() {} fn on_request() {} } });
        assert_eq!(
            text,
            "error: `on_response_body` is called after `on_response` answered `Verdict::Hold`: write `on_response`, too"
        );
    }

    #[test]
    fn anything_but_an_impl_of_the_trait_is_refused() {
        for item in [
            quote! { struct A; },
            quote! { impl A {} },
            quote! { impl Clone for A {} },
        ] {
            assert_eq!(
                expanded(item),
                "error: #[plugin] goes on an `impl Plugin for YourPlugin { … }`"
            );
        }
    }

    #[test]
    fn a_generic_plugin_is_refused() {
        let text = expanded(quote! { impl<T> Plugin for A<T> {} });
        assert_eq!(text, "error: a plugin has no type parameters: a component is one type");
    }
}
