//! `#[task]`: the function becomes a function of the same name and arguments that returns a
//! description of the call, and enters the table of tasks that every worker has.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::parse::Parser;
use syn::spanned::Spanned;
use syn::{Error, FnArg, ItemFn, LitInt, LitStr, Pat, Result, ReturnType, Type, parse2};

struct Options {
    retries: u32,
    timeout_ms: u64,
    blocking: bool,
}

pub(crate) fn expand(options: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let function: ItemFn = parse2(item).map_err(|error| {
        Error::new(error.span(), "#[task] goes on a function: `async fn name(…)` or `fn name(…)`")
    })?;
    refuse(&function)?;
    let Options { retries, timeout_ms, blocking } = read_options(options)?;
    let ItemFn { attrs, vis, sig, block } = &function;
    let name = &sig.ident;
    let (names, types): (Vec<_>, Vec<_>) = arguments(&function)?.into_iter().unzip();
    let inputs = &sig.inputs;
    let asyncness = &sig.asyncness;
    let output = match &sig.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, output) => quote!(#output),
    };
    let declared = match &sig.output {
        ReturnType::Default => quote!(),
        ReturnType::Type(_, output) => quote!(-> #output),
    };
    let wait = asyncness.as_ref().map(|_| quote!(.await));
    let kind = if asyncness.is_some() && !blocking { "Async" } else { "Thread" };
    let kind = format_ident!("{kind}");
    let signature = signature(&types, &sig.output);
    let output_type = match &sig.output {
        ReturnType::Default => None,
        ReturnType::Type(_, output) => Some(&**output),
    };
    let bounds: Vec<_> = types.iter().chain(output_type).map(must_travel).collect();
    let (outer, inner): (Vec<_>, Vec<_>) =
        attrs.iter().partition(|attribute| attribute.path().is_ident("doc"));
    let plain = names.iter().enumerate().map(|(at, _)| format_ident!("argument_{at}"));
    let plain: Vec<_> = plain.collect();
    Ok(quote! {
        #(#outer)*
        #vis fn #name(#(#plain: #types),*) -> ::runtime::Call<#output>
        where
            #(#bounds)*
        {
            #(#inner)*
            #asyncness fn body(#inputs) #declared #block
            fn run((#(#plain,)*): (#(#types,)*)) -> ::runtime::__private::BoxFuture<#output> {
                ::std::boxed::Box::pin(async move { body(#(#plain),*) #wait })
            }
            fn start(
                node: ::runtime::__private::Node,
                arguments: ::runtime::__private::Parcel,
            ) -> ::runtime::__private::Started
            where
                #(#bounds)*
            {
                ::runtime::__private::start(node, arguments, run)
            }
            static TASK: ::runtime::__private::Task = ::runtime::__private::Task {
                name: concat!(module_path!(), "::", stringify!(#name)),
                signature: #signature,
                kind: ::runtime::__private::Kind::#kind,
                retries: #retries,
                timeout_ms: #timeout_ms,
                start,
            };
            ::runtime::__private::submit! { ::runtime::__private::Registered(&TASK) }
            ::runtime::__private::call(&TASK, (#(#plain,)*), run)
        }
    })
}

/// What cannot run on another worker is refused here, where the message can say why.
fn refuse(function: &ItemFn) -> Result<()> {
    let sig = &function.sig;
    if !sig.generics.params.is_empty() {
        return Err(Error::new(
            sig.generics.span(),
            "a task cannot be generic: a worker finds it by name, so there must be one of it; \
             write one task for each type, and call the generic function from it",
        ));
    }
    if let Some(token) = sig.unsafety {
        return Err(Error::new(token.span(), "a task cannot be unsafe: anybody may spawn it"));
    }
    if let Some(token) = sig.constness {
        return Err(Error::new(token.span(), "a task runs on a worker, not at compile time"));
    }
    if let Some(abi) = &sig.abi {
        return Err(Error::new(abi.span(), "a task is an ordinary Rust function"));
    }
    if let Some(variadic) = &sig.variadic {
        return Err(Error::new(variadic.span(), "a task has a fixed number of arguments"));
    }
    match &sig.output {
        ReturnType::Type(_, output) => check_type(output, "result"),
        ReturnType::Default => Ok(()),
    }
}

fn arguments(function: &ItemFn) -> Result<Vec<(Pat, Type)>> {
    function
        .sig
        .inputs
        .iter()
        .map(|input| match input {
            FnArg::Receiver(this) => Err(Error::new(
                this.span(),
                "a task has no `self`: it may run in another process; pass what it needs as an \
                 argument",
            )),
            FnArg::Typed(argument) => {
                check_type(&argument.ty, "argument")?;
                Ok(((*argument.pat).clone(), (*argument.ty).clone()))
            }
        })
        .collect()
}

fn check_type(of: &Type, what: &str) -> Result<()> {
    match of {
        Type::Reference(reference) => Err(Error::new(
            reference.span(),
            format!(
                "a task's {what} cannot be a reference: the task may run in another process; take \
                 the value itself (`String` instead of `&str`, `Vec<T>` instead of `&[T]`)"
            ),
        )),
        Type::ImplTrait(of) => Err(Error::new(
            of.span(),
            format!("a task's {what} needs a type with a name: both processes must know it"),
        )),
        _ => Ok(()),
    }
}

/// A bound whose error points at the type. As a bound of the functions that need it, it is reported
/// once, and not again for each of their uses.
fn must_travel(of: &Type) -> TokenStream {
    quote_spanned! { of.span() => #of: ::runtime::Message, }
}

fn read_options(tokens: TokenStream) -> Result<Options> {
    let mut options = Options { retries: 0, timeout_ms: 0, blocking: false };
    let parser = syn::meta::parser(|meta| {
        if meta.path.is_ident("retry") {
            options.retries = meta.value()?.parse::<LitInt>()?.base10_parse()?;
            Ok(())
        } else if meta.path.is_ident("timeout") {
            let text: LitStr = meta.value()?.parse()?;
            options.timeout_ms = milliseconds(&text)?;
            Ok(())
        } else if meta.path.is_ident("blocking") {
            options.blocking = true;
            Ok(())
        } else {
            Err(meta.error(
                "unknown option; allowed are `retry = 3`, `timeout = \"30s\"` and `blocking`",
            ))
        }
    });
    parser.parse2(tokens)?;
    Ok(options)
}

/// Reads "250ms", "30s", "5m" or "1h".
fn milliseconds(text: &LitStr) -> Result<u64> {
    let value = text.value();
    let digits = value.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let factor = match &value[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => 0,
    };
    match digits.parse::<u64>() {
        Ok(number) if factor > 0 && number > 0 => Ok(number.saturating_mul(factor)),
        _ => Err(Error::new(
            text.span(),
            "a timeout is a whole number above zero with its unit: \"250ms\", \"30s\", \"5m\" or \
             \"1h\"",
        )),
    }
}

/// FNV-1a over the types as written, so that a worker of another build refuses the call.
fn signature(types: &[Type], output: &ReturnType) -> u64 {
    let text = quote!(#(#types,)* ; #output).to_string();
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, fold)
}
