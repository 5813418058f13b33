//! Runtime, key and options of a call.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Expr, Pat};

use super::{Expansion, argument, at, here, private};
use crate::args::{Args, Jitter, OnTimeout, Time, Ttl};
use crate::validate::Key;
use crate::work_fn::Form;

impl Expansion<'_> {
    /// The key first, while every argument is whole; then patterns are taken apart.
    pub(super) fn plan(&self) -> TokenStream {
        let key = self.key();
        let patterns = self
            .renamed()
            .filter(|(_, _, pattern)| !matches!(pattern, Pat::Wild(_)));
        let patterns = patterns.map(|(_, name, pattern)| {
            let pattern = self.pattern_without_mut(pattern);
            quote_spanned!(here()=> let #pattern = #name;)
        });
        let patterns: TokenStream = patterns.collect();
        let plan = match self.args.local {
            Some(_) if self.args.handle.is_none() => self.looked_for(),
            _ => {
                let make = self.made(&quote_spanned!(here()=> __key));
                let (ttl, head, rest) = (self.ttl(), self.head(), self.rest_of_options());
                quote_spanned!(here()=> let __plan = #make #ttl #head #rest;)
            }
        };
        quote_spanned! {here()=>
            let __key = #key;
            #patterns
            #plan
        }
    }

    /// What the plans of all ids have in common.
    pub(super) fn plan_of_each(&self) -> TokenStream {
        let private = &self.private;
        let plan = self.made(&quote_spanned!(here()=> #private::String::new()));
        let (ttl, head, rest) = (self.ttl(), self.version_and_refresh(), self.all_but_tags());
        quote!(#plan #ttl #head #rest)
    }

    /// What one of them has of its own, beside the key.
    pub(super) fn own_of_each(&self) -> TokenStream {
        let (salts, tags) = (self.salts(), self.tags());
        quote!(#salts #tags)
    }

    fn made(&self, key: &TokenStream) -> TokenStream {
        let (private, label) = (&self.private, self.label());
        match &self.args.via {
            Some(via) => {
                // A reference to whatever it is: that is coerced, and nothing is moved.
                let via = reference(via);
                quote_spanned!(here()=> #private::Plan::via(#via, #key, #label))
            }
            None => quote_spanned!(here()=> #private::Plan::installed(#key, #label)),
        }
    }

    /// ```text
    /// let plan = {
    ///     let via = …;
    ///     let mut sought = Sought::via(via, key, name)…;
    ///     if let Some(value) = sought.find(policy) {
    ///         return value;
    ///     }
    ///     sought.plan()
    /// }.ttl(…)…;
    /// ```
    /// What a hit does not need is made after that. A handle looks when it is asked for its value.
    fn looked_for(&self) -> TokenStream {
        let place = at(self.output.span());
        let (found_by, private, label) = (private(self.args, place), &self.private, self.label());
        let (ttl, head, rest) = (self.ttl(), self.head(), self.rest_of_options());
        let types = self.types();
        let via = match &self.args.via {
            Some(via) => reference(via),
            None => quote_spanned!(here()=> &#private::WorkSharing::installed()),
        };
        let found = quote_spanned! {place=>
            if let #found_by::Some(__value) = __sought.find(#types) {
                return __value;
            }
        };
        quote_spanned! {here()=>
            let __plan = {
                let __via: &#private::WorkSharing = #via;
                let mut __sought = #private::Sought::via(__via, __key, #label) #head;
                #found
                __sought.plan()
            } #ttl #rest;
        }
    }

    pub(super) fn key(&self) -> TokenStream {
        let private = &self.private;
        match self.key {
            Key::Template(template) if self.args.local.is_some() => {
                template.expand_in_place(private)
            }
            Key::Template(template) => template.expand(private),
            Key::Expr(expr) => {
                let (place, key) = (at(expr.span()), reference(expr));
                let private = self::private(self.args, place);
                match self.args.local {
                    Some(_) => quote_spanned!(place=> #private::local_text(#key)),
                    None => quote_spanned!(place=> #private::text(#key)),
                }
            }
            Key::Default(parts) => {
                let parts = parts.iter().map(|&at| self.key_part(at));
                let place = match &self.args.handle {
                    // There the closure stands in the handle.
                    Some(_) => {
                        let name = self.function.sig.ident.to_string();
                        quote_spanned!(here()=> of_handle(|| {}, #name))
                    }
                    None => quote_spanned!(here()=> new(|| {})),
                };
                quote_spanned!(here()=> #private::DefaultKey::#place #(#parts)* .finish())
            }
        }
    }

    /// Spanned by the argument, so that a missing `Debug` is told of there.
    fn key_part(&self, index: usize) -> TokenStream {
        let param = &self.function.params[index];
        let name = match &param.form {
            Form::Receiver(ident) | Form::Named(ident) => ident.clone(),
            Form::Pattern(_) => argument(index),
        };
        // That `_tag` is used is the key's matter, not the user's.
        let text = name.to_string();
        let lint = (text.starts_with('_') && !text.starts_with("__"))
            .then(|| quote_spanned!(here()=> #[allow(clippy::used_underscore_binding)]));
        quote_spanned!(at(param.span)=> .arg(#lint &#name))
    }

    fn label(&self) -> TokenStream {
        let private = &self.private;
        match &self.args.name {
            Some(name) => name.to_token_stream(),
            None => {
                let name = format!("::{}", self.function.sig.ident.unraw());
                quote_spanned!(here()=> #private::concat!(#private::module_path!(), #name))
            }
        }
    }

    fn ttl(&self) -> Option<TokenStream> {
        match &self.args.ttl {
            Some(Ttl::Time(time)) => {
                let time = self.time(time);
                Some(quote_spanned!(here()=> .ttl(#time)))
            }
            Some(Ttl::Closure(_)) | None => None,
        }
    }

    /// The options that decide whether a value is kept in the process, and which.
    fn head(&self) -> TokenStream {
        let (head, salts) = (self.version_and_refresh(), self.salts());
        quote!(#head #salts)
    }

    fn version_and_refresh(&self) -> TokenStream {
        let Args {
            version,
            force_refresh,
            ..
        } = self.args;
        let version = version
            .as_ref()
            .map(|expr| quote_spanned!(here()=> .version(#expr)));
        let force = force_refresh
            .as_ref()
            .map(|expr| quote_spanned!(here()=> .force_refresh(#expr)));
        quote!(#version #force)
    }

    fn rest_of_options(&self) -> TokenStream {
        let (tags, others) = (self.tags(), self.all_but_tags());
        quote!(#tags #others)
    }

    fn all_but_tags(&self) -> TokenStream {
        let none = self
            .args
            .cache_none
            .map(|_| quote_spanned!(here()=> .cache_none()));
        let local = self.args.local.as_ref().map(|(_, time)| {
            let time = self.time(time);
            quote_spanned!(here()=> .local(#time))
        });
        let fates = self.fates();
        quote!(#none #local #fates)
    }

    fn tags(&self) -> TokenStream {
        let texts = self.tags.iter().map(|tag| {
            let text = tag.expand(&self.private);
            quote_spanned!(here()=> .tag(&#text))
        });
        let function = self.function_tag();
        let function = function.map(|_| quote_spanned!(here()=> .function_tag()));
        quote!(#(#texts)* #function)
    }

    fn function_tag(&self) -> Option<Span> {
        self.args.tags.as_ref()?.function
    }

    /// What tells a value that is kept in the process from one of the same key with other tags.
    fn salts(&self) -> Option<TokenStream> {
        self.args.local.as_ref()?;
        let private = &self.private;
        let texts = self.tags.iter().map(|tag| {
            let text = tag.arguments(private);
            quote_spanned!(here()=> .salted(#text))
        });
        let function = self.function_tag().map(|_| {
            let label = self.label();
            quote_spanned!(here()=> .salted(#private::format_args!("\u{1}{}", #label)))
        });
        Some(quote!(#(#texts)* #function))
    }

    /// The options about what becomes of a computation, and of its value in time.
    fn fates(&self) -> TokenStream {
        let args = self.args;
        let detach = args.detach.map(|_| quote_spanned!(here()=> .detach()));
        let stale = args.stale_while_revalidate.as_ref().map(|(_, time)| {
            let time = self.time(time);
            quote_spanned!(here()=> .stale_while_revalidate(#time))
        });
        let if_error = args.stale_if_error.as_ref().map(|(name, time)| {
            let time = self.time(time);
            let private = private(args, at(name.span()));
            let types = self.policy_by_type();
            let time = quote_spanned!(at(name.span())=> #private::of_errors(#types, #time));
            quote_spanned!(here()=> .stale_if_error(#time))
        });
        let early = args
            .early_refresh
            .map(|beta| quote_spanned!(here()=> .early_refresh(#beta)));
        let jitter = args.jitter.as_ref().map(|(_, jitter)| match jitter {
            Jitter::Part(part) => quote_spanned!(here()=> .jitter_part(#part)),
            Jitter::Time(time) => {
                let time = self.time(time);
                quote_spanned!(here()=> .jitter(#time))
            }
        });
        let wait = args.wait.as_ref().map(|(_, time)| {
            let time = self.time(time);
            quote_spanned!(here()=> .wait(#time))
        });
        let compute = matches!(args.on_timeout, Some((_, OnTimeout::Compute)))
            .then(|| quote_spanned!(here()=> .on_timeout_compute()));
        quote!(#detach #stale #if_error #early #jitter #wait #compute)
    }

    pub(super) fn time(&self, time: &Time) -> TokenStream {
        let private = &self.private;
        match time {
            Time::Fixed(time, _) => {
                let millis = proc_macro2::Literal::u64_unsuffixed(time.as_millis() as u64);
                quote_spanned!(here()=> #private::Duration::from_millis(#millis))
            }
            Time::Expr(expr) => expr.to_token_stream(),
        }
    }
}

fn reference(expr: &Expr) -> TokenStream {
    let span = at(expr.span());
    let reference = syn::ExprReference {
        attrs: Vec::new(),
        and_token: syn::Token![&](span),
        mutability: None,
        expr: Box::new(expr.clone()),
    };
    reference.to_token_stream()
}
