//! `#[qwenda::tool]`: an async function as a tool for a model. Used through the crate `qwenda`, whose pages
//! describe it.
#![warn(missing_docs)]

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote};
use syn::{
    Attribute, Error, Expr, ExprLit, FnArg, ItemFn, Lit, LitStr, Meta, Pat, Result, ReturnType, Type, parse::Parse,
    parse_macro_input, spanned::Spanned,
};

/// Makes a function a tool of its name: its description is the doc comment, its schema comes from the
/// parameters, whose doc comments describe them.
///
/// `#[tool(name = "…")]` and `#[tool(description = "…")]` say otherwise. The function itself is then `NAME::run`.
#[proc_macro_attribute]
pub fn tool(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let given = parse_macro_input!(attribute as Given);
    let function = parse_macro_input!(item as ItemFn);
    expand(&given, function).unwrap_or_else(Error::into_compile_error).into()
}

/// What the attribute itself says.
#[derive(Default)]
struct Given {
    name: Option<LitStr>,
    description: Option<LitStr>,
}

impl Parse for Given {
    fn parse(input: syn::parse::ParseStream<'_>) -> Result<Self> {
        let mut given = Self::default();
        let pairs = input.parse_terminated(syn::MetaNameValue::parse, syn::Token![,])?;
        for pair in pairs {
            let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = pair.value else {
                return Err(Error::new(pair.value.span(), "expected a text"));
            };
            match pair.path.get_ident().map(ToString::to_string).as_deref() {
                Some("name") => given.name = Some(text),
                Some("description") => given.description = Some(text),
                _ => return Err(Error::new(pair.path.span(), "there are `name` and `description`")),
            }
        }
        Ok(given)
    }
}

fn expand(given: &Given, mut function: ItemFn) -> Result<Tokens> {
    let signature = &mut function.sig;
    if !signature.generics.params.is_empty() {
        return Err(Error::new(signature.generics.span(), "a tool has no generics: its schema is one"));
    }
    let (name, visibility) = (signature.ident.clone(), function.vis.clone());
    let shown = given.name.as_ref().map_or_else(|| name.to_string(), LitStr::value);
    if shown.is_empty() || shown.len() > 64 || !shown.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    {
        let place = given.name.as_ref().map_or_else(|| name.span(), LitStr::span);
        return Err(Error::new(place, "a tool's name has 1 to 64 letters, digits, `_` and `-`"));
    }
    let description = given.description.as_ref().map_or_else(|| text_of(&function.attrs), LitStr::value);
    if description.trim().is_empty() {
        return Err(Error::new(name.span(), "a tool needs a doc comment: it tells the model when to call it"));
    }
    let mut fields = Vec::new();
    let mut names = Vec::new();
    for input in &mut signature.inputs {
        let FnArg::Typed(input) = input else {
            return Err(Error::new(input.span(), "a tool is a function of its own, without `self`"));
        };
        let Pat::Ident(pattern) = &mut *input.pat else {
            return Err(Error::new(input.pat.span(), "the parameters of a tool are plain names"));
        };
        let (field, kind) = (pattern.ident.clone(), input.ty.clone());
        if matches!(*kind, Type::Reference(_)) {
            return Err(Error::new(kind.span(), "arguments come from the model: the parameters own them"));
        }
        // Their comments and `#[serde(…)]` belong to the schema; a function's parameters may have none.
        let attributes = std::mem::take(&mut input.attrs);
        fields.push(quote! { #(#attributes)* #field: #kind });
        names.push(field);
    }
    signature.ident = format_ident!("run");
    let asks = if signature.asyncness.is_some() {
        quote! { .await }
    } else {
        quote! {}
    };
    let outcome = match &signature.output {
        ReturnType::Type(_, kind) if is_result(kind) => quote! { ::qwenda::tools::outcome },
        _ => quote! { ::qwenda::tools::plain },
    };
    let attributes = std::mem::take(&mut function.attrs);
    function.vis = syn::parse_quote! { pub };
    Ok(quote! {
        #(#attributes)*
        #[allow(non_camel_case_types, reason = "the tool is called what its function is called")]
        #[derive(Debug, Clone, Copy)]
        #visibility struct #name;

        const _: () = {
            use ::qwenda::__private as parts;

            #[derive(parts::serde::Deserialize, parts::schemars::JsonSchema)]
            #[serde(crate = "parts::serde", deny_unknown_fields)]
            #[schemars(crate = "parts::schemars")]
            struct Arguments { #(#fields,)* }

            impl #name {
                #[doc = "The function itself."]
                #function
            }

            impl ::qwenda::tools::Tool for #name {
                fn definition(&self) -> ::qwenda::types::chat::Tool {
                    ::qwenda::tools::definition::<Arguments>(#shown, #description)
                }

                fn call(&self, arguments: parts::Value) -> parts::Outcome {
                    ::std::boxed::Box::pin(async move {
                        let Arguments { #(#names,)* } = ::qwenda::tools::arguments(arguments)?;
                        #outcome(Self::run(#(#names,)*) #asks)
                    })
                }
            }
        };
    })
}

/// Whether the type is a `Result`, by its last name.
fn is_result(kind: &Type) -> bool {
    matches!(kind, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Result"))
}

/// The text of doc comments.
fn text_of(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}
