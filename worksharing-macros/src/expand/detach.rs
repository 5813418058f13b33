//! The option `detach`.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::visit_mut::VisitMut;
use syn::{FnArg, Pat, PatIdent, Signature};

use super::{Expansion, at, here, private};
use crate::in_task::InTask;
use crate::task::{How, Taken, taken, used};

impl Expansion<'_> {
    /// ```text
    /// async fn f(a: &A) -> R { body }
    /// ```
    /// goes on, once it is to compute, by
    /// ```text
    /// match detach(lead, policy, move |lead| {
    ///     let kept = …;                            // of `a`
    ///     async move {
    ///         let mut owner = None;
    ///         let a = kept.lent(&mut owner);
    ///         land(lead, policy, pin!(async move { body })).await
    ///     }
    /// }).await {
    ///     Ok(value) => value,
    ///     Err(rest) => rest.await,                 // or what `on_timeout` says
    /// }
    /// ```
    pub(super) fn detached(&self, acquired: &TokenStream) -> TokenStream {
        let place = at(self.output.span());
        let private = private(self.args, place);
        let (types, task) = (self.types(), self.task());
        let (computed, rest) = if self.function.is_async() {
            (
                quote_spanned!(place=> #private::detach(__lead, #types, #task).await),
                quote_spanned!(place=> __rest.await),
            )
        } else {
            (
                quote_spanned!(place=> #private::detach_blocking(__lead, #types, #task)),
                quote_spanned!(place=> __rest()),
            )
        };
        match self.given() {
            Some(given) => quote_spanned! {place=>
                let __lead = match #acquired {
                    #private::Acquired::Value(__value) => return __value,
                    #private::Acquired::Lead(__lead) => #private::Some(__lead),
                    #private::Acquired::TimedOut(_) => #private::None,
                };
                if let #private::Some(__lead) = __lead {
                    if let #private::Ok(__value) = #computed {
                        return __value;
                    }
                }
                #given
            },
            None => quote_spanned! {place=>
                let __lead = match #acquired {
                    #private::Acquired::Value(__value) => return __value,
                    #private::Acquired::Lead(__lead) | #private::Acquired::TimedOut(__lead) => __lead,
                };
                match #computed {
                    #private::Ok(__value) => __value,
                    #private::Err(__rest) => #rest,
                }
            },
        }
    }

    /// What begins the task. What an async one takes along is taken when it begins: so its caller need not be
    /// `'static`.
    fn task(&self) -> TokenStream {
        let place = at(self.output.span());
        let private = private(self.args, place);
        let taken = taken(self.args, self.function);
        let (kept, lent): (Vec<_>, Vec<_>) = taken
            .iter()
            .enumerate()
            .map(|(index, taken)| (self.kept(index, taken), self.lent(index, taken)))
            .unzip();
        let (policy, body) = (self.policy(), self.body());
        if self.function.is_async() {
            quote_spanned! {place=>
                move |__lead: #private::Leading| {
                    #(#kept)*
                    async move {
                        #(#lent)*
                        #private::land(__lead, #policy, #private::pin!(#body)).await
                    }
                }
            }
        } else {
            quote_spanned! {place=> {
                #(#kept)*
                move |__lead: #private::Leading| {
                    #(#lent)*
                    #private::land_blocking(__lead, #policy, #body)
                }
            }}
        }
    }

    /// Spanned by the argument, so that one that cannot be taken along is told of there.
    pub(super) fn kept(&self, index: usize, taken: &Taken) -> TokenStream {
        let place = at(taken.span);
        let private = private(self.args, place);
        let (kept, name) = (numbered("__kept", index), &taken.name);
        let how = match taken.how {
            How::Cloned => quote_spanned!(place=> #private::Cloned),
            How::Moved => quote_spanned!(place=> #private::Moved),
            How::ByType => quote_spanned!(place=> #private::argument(&#name).__taken()),
        };
        let sent = if self.function.is_async() {
            quote_spanned!(place=> __shared)
        } else {
            quote_spanned!(place=> __sent)
        };
        // With `each` there may be more than one task.
        let value = match (&self.args.each, taken.how) {
            (Some(_), How::ByType) => self.again(taken, name),
            _ => quote!(#name),
        };
        quote_spanned!(place=> let #kept = #how.__keep(#value).#sent();)
    }

    /// That the body shadows arguments is not the user's doing.
    pub(super) fn lent(&self, index: usize, taken: &Taken) -> TokenStream {
        let place = at(taken.span);
        let private = private(self.args, place);
        let (kept, owner) = (numbered("__kept", index), numbered("__owner", index));
        // With `each` the body is lent it anew.
        let mutability = taken.mutability.filter(|_| self.args.each.is_none());
        let name = if taken.is_receiver {
            this()
        } else {
            taken.name.clone()
        };
        quote_spanned! {place=>
            let mut #owner = #private::None;
            #[allow(unused_variables, clippy::shadow_reuse, clippy::shadow_same, clippy::shadow_unrelated)]
            let #mutability #name = #kept.__lent(&mut #owner);
        }
    }

    /// How the user's tokens read in the task, if there is one.
    pub(super) fn in_task<R>(&self, rewrite: impl FnOnce(&InTask<'_>) -> R) -> Option<R> {
        self.args.detach?;
        let lifetimes = self.function.sig.generics.lifetimes();
        Some(rewrite(&InTask {
            this: &this(),
            lifetimes: lifetimes.map(|param| &param.lifetime.ident).collect(),
        }))
    }

    /// What the body has anew is changed there, and not here.
    pub(super) fn without_mut(&self, sig: &mut Signature) {
        let Some(mut unchanged) = self.unchanged() else {
            return;
        };
        for input in &mut sig.inputs {
            match input {
                FnArg::Receiver(receiver) if unchanged.has("self") => receiver.mutability = None,
                FnArg::Receiver(_) => {}
                FnArg::Typed(arg) => unchanged.visit_pat_mut(&mut arg.pat),
            }
        }
    }

    pub(super) fn pattern_without_mut(&self, pattern: &Pat) -> Pat {
        let mut pattern = pattern.clone();
        if let Some(mut unchanged) = self.unchanged() {
            unchanged.visit_pat_mut(&mut pattern);
        }
        pattern
    }

    fn unchanged(&self) -> Option<Unchanged> {
        self.anew().map(Unchanged)
    }

    /// What the body has under the same names, but as others than the function is given.
    pub(super) fn anew(&self) -> Option<Vec<Taken>> {
        match (&self.args.each, self.args.detach) {
            (_, Some(_)) => Some(taken(self.args, self.function)),
            (Some(_), None) => Some(used(self.function)),
            (None, None) => None,
        }
    }
}

struct Unchanged(Vec<Taken>);

impl Unchanged {
    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|taken| taken.name == name)
    }
}

impl VisitMut for Unchanged {
    fn visit_pat_ident_mut(&mut self, pattern: &mut PatIdent) {
        if pattern.by_ref.is_none() && self.has(&pattern.ident.to_string()) {
            pattern.mutability = None;
        }
        syn::visit_mut::visit_pat_ident_mut(self, pattern);
    }
}

/// The name of `self` in the task.
pub(super) fn this() -> Ident {
    Ident::new("__this", here())
}

fn numbered(name: &str, index: usize) -> Ident {
    Ident::new(&format!("{name}{index}"), here())
}
