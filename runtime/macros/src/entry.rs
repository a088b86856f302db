//! `#[main]` and `#[test]`: an async function that starts with a runtime around it.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::Parser;
use syn::spanned::Spanned;
use syn::{Error, ItemFn, LitInt, LitStr, Result, parse2};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Main,
    Test,
}

pub(crate) fn expand(options: TokenStream, item: TokenStream, kind: Kind) -> Result<TokenStream> {
    let word = if kind == Kind::Main { "main" } else { "test" };
    let function: ItemFn = parse2(item)?;
    let ItemFn { attrs, vis, mut sig, block } = function;
    if sig.asyncness.take().is_none() {
        let message = format!("#[runtime::{word}] goes on an `async fn`");
        return Err(Error::new(sig.span(), message));
    }
    if !sig.inputs.is_empty() || !sig.generics.params.is_empty() {
        let message = format!("#[runtime::{word}] goes on a function without arguments");
        return Err(Error::new(sig.span(), message));
    }
    let settings = read_options(options)?;
    let body = match kind {
        // A worker is this very program, so it looks which of the two it is before anything else.
        Kind::Main => quote! {
            ::runtime::serve_if_worker();
            ::runtime::Runtime::builder() #settings .from_environment().enter(async #block)
        },
        Kind::Test => quote! {
            ::runtime::Runtime::builder() #settings .in_memory().enter(async #block)
        },
    };
    let test = (kind == Kind::Test).then(|| quote!(#[::core::prelude::v1::test]));
    Ok(quote! { #test #(#attrs)* #vis #sig { #body } })
}

fn read_options(tokens: TokenStream) -> Result<TokenStream> {
    let mut settings = TokenStream::new();
    let parser = syn::meta::parser(|meta| {
        if meta.path.is_ident("workers") {
            let workers: LitInt = meta.value()?.parse()?;
            settings.extend(quote!(.workers(#workers)));
            Ok(())
        } else if meta.path.is_ident("threads") {
            let threads: LitInt = meta.value()?.parse()?;
            settings.extend(quote!(.threads(#threads)));
            Ok(())
        } else if meta.path.is_ident("place") {
            let place: LitStr = meta.value()?.parse()?;
            let variant = match place.value().as_str() {
                "auto" => quote!(Auto),
                "together" => quote!(Together),
                "apart" => quote!(Apart),
                _ => {
                    return Err(Error::new(
                        place.span(),
                        "a place is \"auto\", \"together\" or \"apart\"",
                    ));
                }
            };
            settings.extend(quote!(.place(::runtime::Place::#variant)));
            Ok(())
        } else {
            Err(meta.error(
                "unknown option; allowed are `workers = 2`, `threads = 2` and `place = \"apart\"`",
            ))
        }
    });
    parser.parse2(tokens)?;
    Ok(settings)
}
