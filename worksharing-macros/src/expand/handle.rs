//! The option `handle`.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Attribute, FnArg, GenericParam, Meta, Pat, ReturnType, Signature, Type};

use super::{Expansion, argument, at, here, own, plain};
use crate::args::{Each, Handle};
use crate::work_fn::WorkFn;

impl Expansion<'_> {
    /// ```text
    /// fn f(a: A) -> R { body }
    /// ```
    /// becomes
    /// ```text
    /// fn f(a: A) -> R { f_call(a).get() }
    /// fn f_call(a: A) -> Call<R, impl Policy<Returned = R>, impl FnOnce(Acquired<R>) -> R> {
    ///     let plan = …;
    ///     Call::new(plan, policy, move |acquired| -> R { … })
    /// }
    /// ```
    pub(super) fn with_handle(&self, handle: &Handle) -> TokenStream {
        if let Some(each) = &self.args.each {
            return self.with_handle_of_each(handle, each);
        }
        let (private, output) = (&self.private, self.output);
        let acquired = quote_spanned!(here()=> __acquired);
        let (plan, policy, rest) = (self.plan(), self.types(), self.rest(&acquired));
        let acquired = quote_spanned!(here()=> #private::Acquired<#output>);
        let (call, goes_on, rest) = if self.function.is_async() {
            (
                "AsyncCall",
                quote_spanned!(here()=> #private::GoOn<Returned = #output, Rest = impl #private::Future<Output = #output>>),
                quote_spanned!(here()=> move |__acquired| async move { #rest }),
            )
        } else {
            (
                "Call",
                quote_spanned!(here()=> ::core::ops::FnOnce(#acquired) -> #output),
                quote_spanned!(here()=> move |__acquired| -> #output { #rest }),
            )
        };
        let call = Ident::new(call, here());
        let returned = quote_spanned!(here()=> #private::#call<#output, impl #private::Policy<Returned = #output>, impl #goes_on>);
        let made = quote_spanned!(here()=> #plan #private::#call::new(__plan, #policy, #rest));
        self.handed(handle, returned, &made)
    }

    /// ```text
    /// fn f_call(ids: &[K]) -> ManyCall<R, impl EachCall<Key = K, Rest = R>> {
    ///     let entrants = …;
    ///     ManyCall::new(entrants, policy, move |mut many| -> R { … })
    /// }
    /// ```
    fn with_handle_of_each(&self, handle: &Handle, each: &Each) -> TokenStream {
        let (place, private, output) = (at(self.output.span()), &self.private, self.output);
        let (entrants, types, steps) =
            (self.entrants(each), self.types(), self.steps_of_each(each));
        let (call, rest, steps) = if self.function.is_async() {
            (
                "AsyncManyCall",
                quote_spanned!(here()=> impl #private::Future<Output = #output>),
                quote_spanned!(here()=> move |mut __many| async move { #steps }),
            )
        } else {
            (
                "ManyCall",
                quote_spanned!(here()=> #output),
                quote_spanned!(here()=> move |mut __many| -> #output { #steps }),
            )
        };
        let call = Ident::new(call, here());
        let key = quote_spanned!(place=> #private::KeyOf<#output>);
        let returned = quote_spanned! {here()=>
            #private::#call<#output, impl #private::EachCall<Key = #key, Rest = #rest>>
        };
        let made = quote_spanned! {here()=>
            #entrants
            #private::#call::new(__entrants, #types, #steps)
        };
        self.handed(handle, returned, &made)
    }

    /// The function, and the one that makes its handle.
    fn handed(&self, handle: &Handle, returned: TokenStream, made: &TokenStream) -> TokenStream {
        let (wrapper, vis) = (self.wrapper(handle), &self.function.vis);
        let mut sig = self.sig();
        sig.asyncness = None;
        sig.ident = handle.ident.clone();
        sig.output = ReturnType::Type(syn::Token![->](here()), Box::new(Type::Verbatim(returned)));
        let docs = format!(
            "The call of `{}` as a value.",
            self.function.sig.ident.unraw()
        );
        let lints = self.function.attrs.iter().filter_map(lint_level);
        quote_spanned! {here()=>
            #wrapper
            #[doc = #docs]
            #(#lints)*
            #vis #sig { #made }
        }
    }

    fn wrapper(&self, handle: &Handle) -> TokenStream {
        let WorkFn { attrs, vis, .. } = self.function;
        let mut sig = self.function.sig.clone();
        let arguments: Vec<Ident> = sig.inputs.iter_mut().enumerate().map(forwarded).collect();
        let attrs = attrs
            .iter()
            .map(|attr| lint_level(attr).unwrap_or_else(|| attr.clone()));
        let call = &handle.ident;
        let of_self = match (&handle.of_self, self.function.receiver()) {
            (Some(this), _) => quote!(#this::),
            (None, Some(this)) => {
                let this = Ident::new("Self", this.span());
                quote_spanned!(here()=> #this::)
            }
            (None, None) => TokenStream::new(),
        };
        let generics = turbofish(&sig);
        let wait = sig.asyncness.map(|_| quote_spanned!(here()=> .await));
        quote_spanned! {here()=>
            #(#attrs)* #vis #sig { #of_self #call #generics(#(#arguments),*).get() #wait }
        }
    }
}

/// Makes an argument one that can be passed on, and gives its name.
fn forwarded((index, input): (usize, &mut FnArg)) -> Ident {
    match input {
        FnArg::Receiver(receiver) => {
            receiver.mutability = None;
            Ident::new("self", receiver.self_token.span)
        }
        FnArg::Typed(arg) => {
            let name = match &*arg.pat {
                Pat::Ident(pattern) if pattern.subpat.is_none() => own(&pattern.ident),
                _ => argument(index),
            };
            *arg.pat = plain(name.clone());
            name
        }
    }
}

/// `::<T, N>`: what the arguments may not tell.
fn turbofish(sig: &Signature) -> Option<TokenStream> {
    let mut names = sig.generics.params.iter().filter_map(|param| match param {
        GenericParam::Type(param) => Some(&param.ident),
        GenericParam::Const(param) => Some(&param.ident),
        _ => None,
    });
    let first = names.next()?;
    Some(quote_spanned!(here()=> ::<#first #(, #names)*>))
}

/// Lint levels hold for both functions. `#[expect(…)]` becomes `#[allow(…)]`: only one of them may have what
/// is expected.
fn lint_level(attr: &Attribute) -> Option<Attribute> {
    let levels = ["allow", "warn", "deny", "forbid", "expect"];
    let level = levels
        .into_iter()
        .find(|level| attr.path().is_ident(level))?;
    let mut attr = attr.clone();
    if let ("expect", Meta::List(list)) = (level, &mut attr.meta) {
        list.path = Ident::new("allow", at(list.path.span())).into();
    }
    Some(attr)
}
