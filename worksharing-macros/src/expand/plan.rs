//! Runtime, key and options of a call.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Expr, Pat};

use super::{Expansion, argument, at, here, private};
use crate::args::{Args, Ttl};
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
        let patterns =
            patterns.map(|(_, name, pattern)| quote_spanned!(here()=> let #pattern = #name;));
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
        let private = &self.private;
        let ttl = match ttl {
            Some(Ttl::Fixed(ttl)) => {
                let millis = proc_macro2::Literal::u64_unsuffixed(ttl.as_millis() as u64);
                Some(quote_spanned!(here()=> .ttl(#private::Duration::from_millis(#millis))))
            }
            Some(Ttl::Expr(expr)) => Some(quote_spanned!(here()=> .ttl(#expr))),
            Some(Ttl::Closure(_)) | None => None,
        };
        let version = version
            .as_ref()
            .map(|expr| quote_spanned!(here()=> .version(#expr)));
        let force = force_refresh
            .as_ref()
            .map(|expr| quote_spanned!(here()=> .force_refresh(#expr)));
        let none = cache_none.map(|_| quote_spanned!(here()=> .cache_none()));
        quote!(#ttl #version #force #none)
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
