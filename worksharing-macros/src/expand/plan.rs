//! Runtime, key and options of a call.

use proc_macro2::TokenStream;
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
        let private = &self.private;
        let (key, label, options) = (self.key(), self.label(), self.options());
        let patterns = self
            .renamed()
            .filter(|(_, _, pattern)| !matches!(pattern, Pat::Wild(_)));
        let patterns = patterns.map(|(_, name, pattern)| {
            let pattern = self.pattern_without_mut(pattern);
            quote_spanned!(here()=> let #pattern = #name;)
        });
        let patterns: TokenStream = patterns.collect();
        let make = match &self.args.via {
            Some(via) => {
                // A reference to whatever it is: that is coerced, and nothing is moved.
                let via = reference(via);
                quote_spanned!(here()=> #private::Plan::via(#via, __key, #label))
            }
            None => quote_spanned!(here()=> #private::Plan::installed(__key, #label)),
        };
        quote_spanned! {here()=>
            let __key = #key;
            #patterns
            let __plan = #make #options;
        }
    }

    fn key(&self) -> TokenStream {
        let private = &self.private;
        match self.key {
            Key::Template(template) => template.expand(private),
            Key::Expr(expr) => {
                let (place, key) = (at(expr.span()), reference(expr));
                let private = self::private(self.args, place);
                quote_spanned!(place=> #private::text(#key))
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

    fn options(&self) -> TokenStream {
        let Args {
            ttl,
            version,
            force_refresh,
            cache_none,
            ..
        } = self.args;
        let ttl = match ttl {
            Some(Ttl::Time(time)) => {
                let time = self.time(time);
                Some(quote_spanned!(here()=> .ttl(#time)))
            }
            Some(Ttl::Closure(_)) | None => None,
        };
        let version = version
            .as_ref()
            .map(|expr| quote_spanned!(here()=> .version(#expr)));
        let force = force_refresh
            .as_ref()
            .map(|expr| quote_spanned!(here()=> .force_refresh(#expr)));
        let none = cache_none.map(|_| quote_spanned!(here()=> .cache_none()));
        let (tags, fates) = (self.tags(), self.fates());
        quote!(#ttl #version #force #none #tags #fates)
    }

    fn tags(&self) -> TokenStream {
        let texts = self.tags.iter().map(|tag| {
            let text = tag.expand(&self.private);
            quote_spanned!(here()=> .tag(&#text))
        });
        let function = self.args.tags.as_ref().and_then(|tags| tags.function);
        let function = function.map(|_| quote_spanned!(here()=> .function_tag()));
        quote!(#(#texts)* #function)
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
            let output = self.output;
            let types =
                quote_spanned!(at(output.span())=> #private::Returns::<#output>::new().__policy());
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
