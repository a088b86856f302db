//! The attributes `#[task]`, `#[main]` and `#[test]`. Use them through the `runtime` crate, which
//! documents them.

mod entry;
mod task;

use proc_macro::TokenStream;

/// See `runtime::task`.
#[proc_macro_attribute]
pub fn task(options: TokenStream, item: TokenStream) -> TokenStream {
    finish(task::expand(options.into(), item.into()))
}

/// See `runtime::main`.
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    finish(entry::expand(options.into(), item.into(), entry::Kind::Main))
}

/// See `runtime::test`.
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    finish(entry::expand(options.into(), item.into(), entry::Kind::Test))
}

fn finish(expanded: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}
