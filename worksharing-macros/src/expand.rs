mod detach;
mod each;
mod handle;
mod plan;
mod policy;

use proc_macro2::{Group, Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Expr, FnArg, Pat, Signature, Type};

use crate::args::{Args, OnTimeout};
use crate::task::Taken;
use crate::template::Template;
use crate::validate::{Checked, Key};
use crate::work_fn::{Form, WorkFn};

/// The function anew, and its handle if there is one.
pub(crate) fn expand(args: &Args, function: &WorkFn, checked: &Checked<'_>) -> TokenStream {
    let Some(output) = function.output() else {
        return TokenStream::new();
    };
    let private = private(args, here());
    let expansion = Expansion {
        args,
        function,
        key: &checked.key,
        tags: &checked.tags,
        output,
        private,
    };
    match &args.handle {
        Some(handle) => expansion.with_handle(handle),
        None => expansion.alone(),
    }
}

struct Expansion<'a> {
    args: &'a Args,
    function: &'a WorkFn,
    key: &'a Key<'a>,
    tags: &'a [Template],
    output: &'a Type,
    private: TokenStream,
}

/// The place of some code of the user, with names that cannot meet the user's.
fn at(span: Span) -> Span {
    Span::mixed_site().located_at(span)
}

fn here() -> Span {
    Span::mixed_site()
}

impl Expansion<'_> {
    /// ```text
    /// fn f(a: A) -> R { body }
    /// ```
    /// becomes
    /// ```text
    /// fn f(a: A) -> R {
    ///     let plan = …;
    ///     match acquire_blocking(plan, policy) {
    ///         Acquired::Value(value) => value,
    ///         Acquired::Lead(lead) | Acquired::TimedOut(lead) => {
    ///             land_blocking(lead, policy, move || -> R { body })
    ///         }
    ///     }
    /// }
    /// ```
    fn alone(&self) -> TokenStream {
        let WorkFn { attrs, vis, .. } = self.function;
        let sig = self.sig();
        let block = match &self.function.boxed {
            Some(_) => self.boxed(),
            None => {
                let shared = self.shared();
                quote_spanned!(here()=> { #shared })
            }
        };
        quote!(#(#attrs)* #vis #sig #block)
    }

    /// All but the plan has the place of the policy, so that the compiler takes what goes wrong in both for
    /// one mistake.
    fn shared(&self) -> TokenStream {
        if let Some(each) = &self.args.each {
            return self.shared_each(each);
        }
        let place = at(self.output.span());
        let private = private(self.args, place);
        let (plan, policy) = (self.plan(), self.types());
        let acquired = if self.function.is_async() {
            quote_spanned!(place=> #private::acquire(__plan, #policy).await)
        } else {
            quote_spanned!(place=> #private::acquire_blocking(__plan, #policy))
        };
        let rest = self.rest(&acquired);
        quote_spanned!(here()=> #plan #rest)
    }

    /// How a call goes on that has come so far. The body begins after the match, so that a future does not keep what was
    /// matched.
    fn rest(&self, acquired: &TokenStream) -> TokenStream {
        if self.args.detach.is_some() {
            return self.detached(acquired);
        }
        let place = at(self.output.span());
        let private = private(self.args, place);
        let (policy, body) = (self.policy(), self.body());
        let landed = if self.function.is_async() {
            quote_spanned!(place=> #private::land(__lead, #policy, #private::pin!(#body)).await)
        } else {
            quote_spanned!(place=> #private::land_blocking(__lead, #policy, #body))
        };
        let leads = match self.given() {
            // It may `return`, or panic.
            Some(given) => quote_spanned! {place=>
                #private::Acquired::Lead(__lead) => __lead,
                #[allow(unreachable_code)]
                #private::Acquired::TimedOut(_) => return #given,
            },
            None => quote_spanned! {place=>
                #private::Acquired::Lead(__lead) | #private::Acquired::TimedOut(__lead) => __lead,
            },
        };
        quote_spanned! {place=>
            let __lead = match #acquired {
                #private::Acquired::Value(__value) => return __value,
                #leads
            };
            #landed
        }
    }

    /// What a caller is given that has waited for too long, unless it computes.
    fn given(&self) -> Option<&Expr> {
        match &self.args.on_timeout {
            Some((_, OnTimeout::Expr(expr))) => Some(expr),
            _ => None,
        }
    }

    /// `Box::pin(async move { body })` of `#[async_trait]`: what is shared is the async block.
    fn boxed(&self) -> TokenStream {
        let Some(boxed) = &self.function.boxed else {
            return TokenStream::new();
        };
        let (before, shared) = (&boxed.before, self.shared());
        let (function, attrs) = (&boxed.call.func, &boxed.call.attrs);
        quote_spanned!(here()=> { #(#before)* #(#attrs)* #function(async move { #shared }) })
    }

    /// The signature. For the default key, patterns give way to names: the key wants the whole
    /// argument.
    fn sig(&self) -> Signature {
        let mut sig = self.function.sig.clone();
        for (at, name, _) in self.renamed() {
            if let Some(FnArg::Typed(arg)) = sig.inputs.iter_mut().nth(at) {
                *arg.pat = plain(name);
            }
        }
        self.without_mut(&mut sig);
        sig
    }

    /// Pattern arguments that are part of the default key: position, name, pattern.
    fn renamed(&self) -> impl Iterator<Item = (usize, Ident, &Pat)> {
        let parts = match self.key {
            Key::Default(parts) => parts.as_slice(),
            _ => &[],
        };
        parts.iter().filter_map(|&at| {
            match (
                &self.function.params[at].form,
                &self.function.sig.inputs[at],
            ) {
                (Form::Pattern(_), FnArg::Typed(arg)) => Some((at, argument(at), &*arg.pat)),
                _ => None,
            }
        })
    }

    /// The body as a function of its own: `return` and `?` work, and it is typed, so that an error in
    /// it is told of there. An async block is typed by a dead `return`.
    fn body(&self) -> TokenStream {
        let output = self.output;
        if !self.function.is_async() {
            let body = self.function.body.clone();
            let body = self.in_task(|task| task.group(&body)).unwrap_or(body);
            let body = self.as_lent(body);
            return quote_spanned!(here()=> move || -> #output #body);
        }
        let body = match &self.function.boxed {
            Some(boxed) => {
                let anew = self.anew();
                let is_wanted = |name: &Ident| {
                    let has = |anew: &Vec<Taken>| anew.iter().any(|taken| taken.name == *name);
                    anew.as_ref().is_none_or(has)
                };
                boxed.body(is_wanted)
            }
            None => self.function.body.clone(),
        };
        let body = self.in_task(|task| task.group(&body)).unwrap_or(body);
        let body = self.as_lent(body);
        let (body, private) = (inner_block(&body), private(self.args, at(output.span())));
        let dead = quote_spanned!(at(output.span())=> return #private::never::<#output>(););
        quote_spanned!(here()=> async move { if false { #dead } #body })
    }
}

/// The runtime's hidden module, as if it were written there: an expression has the place of its first
/// token.
fn private(args: &Args, place: Span) -> TokenStream {
    let Some(path) = &args.krate else {
        return quote_spanned!(place=> ::worksharing::__private_0_1);
    };
    let path = quote_spanned!(place=> #path::__private_0_1)
        .into_iter()
        .map(|mut token| {
            token.set_span(token.span().located_at(place));
            token
        });
    path.collect()
}

fn argument(at: usize) -> Ident {
    Ident::new(&format!("__argument{at}"), here())
}

/// The same name, but the expansion's own: no other variable of that name is meant by it.
fn own(name: &Ident) -> Ident {
    let mut name = name.clone();
    name.set_span(at(name.span()));
    name
}

fn plain(ident: Ident) -> Pat {
    Pat::Ident(syn::PatIdent {
        attrs: Vec::new(),
        by_ref: None,
        mutability: None,
        ident,
        subpat: None,
    })
}

/// The braces as if they were the expansion's: a lint may find the user's needless in a new place.
fn inner_block(body: &Group) -> Group {
    let mut block = Group::new(body.delimiter(), body.stream());
    block.set_span(at(body.span()));
    block
}
