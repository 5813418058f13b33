//! The option `each`.

use proc_macro2::{Group, Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{FnArg, Type};

use super::detach::this;
use super::{Expansion, at, here, private};
use crate::args::Each;
use crate::each::is_lent_anew;
use crate::ids::{IdsForm, ids_form};
use crate::in_task::InTask;
use crate::task::{Taken, taken, used};
use crate::work_fn::Form;

impl Expansion<'_> {
    /// ```text
    /// async fn f(db: &mut A, ids: &[K]) -> R { body }
    /// ```
    /// becomes
    /// ```text
    /// async fn f(db: &mut A, ids: &[K]) -> R {
    ///     let plan = …;                            // without a key
    ///     let entrants = entrants_of(map, ids, |id| plan.keyed(key).tag(…));
    ///     let mut many = many(entrants, policy);   // of one id
    ///     let policy = || …;
    ///     while let Some(missing) = next(&mut many).await {
    ///         let db = &mut *db;
    ///         let ids = &missing[..];
    ///         land_many(&mut many, policy(), pin!(async move { body })).await;
    ///     }
    ///     finish(many)
    /// }
    /// ```
    /// The body is no closure: a future that borrows from its arguments would make none that is `Send`.
    pub(super) fn shared_each(&self, each: &Each) -> TokenStream {
        let place = at(self.output.span());
        let private = private(self.args, place);
        let (entrants, types) = (self.entrants(each), self.types());
        let steps = self.steps_of_each(each);
        quote_spanned! {place=>
            #entrants
            let mut __many = #private::many(__entrants, #types);
            #steps
        }
    }

    /// From there on.
    pub(super) fn steps_of_each(&self, each: &Each) -> TokenStream {
        let place = at(self.output.span());
        let steps = match self.args.detach {
            Some(_) => self.detached_steps(each),
            None => self.steps(each),
        };
        let (private, output) = (private(self.args, place), self.output);
        // The type of an async block is told by nothing else.
        let is_untold = self.function.boxed.is_some()
            || (self.args.handle.is_some() && self.function.is_async());
        let of_type = is_untold.then(|| quote_spanned!(place=> ::<_, _, #output>));
        let returned = match self.given() {
            Some(given) => quote_spanned! {place=>
                match #private::in_time #of_type (__many) {
                    #private::Some(__value) => __value,
                    #private::None => #given,
                }
            },
            None => quote_spanned!(place=> #private::finish #of_type (__many)),
        };
        quote_spanned!(place=> #steps #returned)
    }

    /// The body, as often as there is something to compute.
    fn steps(&self, each: &Each) -> TokenStream {
        let (Some(form), Some(ids)) = (ids_form(each, self.function), self.ids(each)) else {
            return TokenStream::new();
        };
        let place = at(self.output.span());
        let private = private(self.args, place);
        let (policy, body) = (self.policy(), self.body());
        let lent: TokenStream = used(self.function)
            .iter()
            .map(|taken| self.lent_anew(taken, form, &ids))
            .collect();
        let (next, landed) = if self.function.is_async() {
            (
                quote_spanned!(place=> #private::next(&mut __many).await),
                quote_spanned!(place=> #private::land_many(&mut __many, __policy(), #private::pin!(#body)).await;),
            )
        } else {
            (
                quote_spanned!(place=> #private::next_blocking(&mut __many)),
                quote_spanned!(place=> #private::land_many_blocking(&mut __many, __policy(), #body);),
            )
        };
        quote_spanned! {place=>
            let __policy = || #policy;
            while let #private::Some(__missing) = #next {
                #lent
                #landed
            }
        }
    }

    /// ```text
    /// while let Some(leads) = next_detached(&mut many).await {
    ///     detach_many(&mut many, leads, |mut many| {
    ///         let kept = …;                        // of `db`
    ///         async move {
    ///             let mut owner = None;
    ///             let db = kept.lent(&mut owner);
    ///             …                                // the steps, of what falls to this caller
    ///             settled(many)
    ///         }
    ///     }).await;
    /// }
    /// ```
    fn detached_steps(&self, each: &Each) -> TokenStream {
        let place = at(self.output.span());
        let private = private(self.args, place);
        let steps = self.steps(each);
        let mut taken = taken(self.args, self.function);
        taken.retain(|taken| taken.name.unraw() != each.ids.unraw());
        let (kept, lent): (Vec<_>, Vec<_>) = taken
            .iter()
            .enumerate()
            .map(|(index, taken)| (self.kept(index, taken), self.lent(index, taken)))
            .unzip();
        if self.function.is_async() {
            quote_spanned! {place=>
                while let #private::Some(__leads) = #private::next_detached(&mut __many).await {
                    #private::detach_many(&mut __many, __leads, |mut __many| {
                        #(#kept)*
                        async move {
                            #(#lent)*
                            #steps
                            #private::settled(__many)
                        }
                    }).await;
                }
            }
        } else {
            quote_spanned! {place=>
                while let #private::Some(__leads) = #private::next_detached_blocking(&mut __many) {
                    #(#kept)*
                    #private::detach_many_blocking(&mut __many, __leads, move |mut __many| {
                        #(#lent)*
                        #steps
                        #private::settled(__many)
                    });
                }
            }
        }
    }

    /// Each id with its plan: its key, and what else it has in common with the others.
    pub(super) fn entrants(&self, each: &Each) -> TokenStream {
        let (Some(form), Some(ids)) = (ids_form(each, self.function), self.ids(each)) else {
            return TokenStream::new();
        };
        let (private, id) = (&self.private, &each.id);
        let (plan, key, own) = (self.plan_of_each(), self.key(), self.own_of_each());
        let place = at(self.output.span());
        let (output, at_output) = (self.output, super::private(self.args, place));
        let through = if form.is_reference() {
            quote_spanned!(place=> #at_output::entrants_of)
        } else {
            quote_spanned!(place=> #at_output::entrants_in)
        };
        let form = form.is_made().then(|| match form.is_reference() {
            true => quote_spanned!(here()=> let __form = #private::form(#ids);),
            false => quote_spanned!(here()=> let __form = #private::form(&#ids);),
        });
        let plan_of_one = quote_spanned! {here()=>
            |__id| {
                #[allow(clippy::pattern_type_mismatch)]
                let #id = __id;
                let __key = #key;
                __plan.keyed(__key) #own
            }
        };
        quote_spanned! {place=>
            let __plan = #plan;
            #form
            let __entrants = #through(#at_output::Returns::<#output>::new().__map(), #ids, #plan_of_one);
        }
    }

    /// As it stands in the signature, so that what is wrong with it is told of there.
    fn ids(&self, each: &Each) -> Option<Ident> {
        let mut params = self.function.params.iter();
        params.find_map(|param| match &param.form {
            Form::Named(name) if name.unraw() == each.ids.unraw() => Some(name.clone()),
            _ => None,
        })
    }

    /// What the body has of an argument, this time. A shared reference it has as often as it likes.
    fn lent_anew(&self, taken: &Taken, form: IdsForm, ids: &Ident) -> TokenStream {
        let name = &taken.name;
        if name == ids {
            return self.ids_lent(taken, form);
        }
        if taken.is_receiver {
            return self.receiver_lent(taken);
        }
        let value = match (self.reference(name), &taken.mutability) {
            (Some(true), _) => quote_spanned!(at(taken.span)=> &mut *#name),
            (Some(false), Some(_)) => quote!(#name),
            (Some(false), None) => return TokenStream::new(),
            (None, _) => self.again(taken, name),
        };
        bind(taken, name, &value)
    }

    fn ids_lent(&self, taken: &Taken, form: IdsForm) -> TokenStream {
        let name = &taken.name;
        let made = quote_spanned!(at(taken.span)=> __form.lent(__missing));
        match form {
            IdsForm::Slice => bind(taken, name, &quote_spanned!(here()=> &__missing[..])),
            IdsForm::VecRef => bind(taken, name, &quote_spanned!(here()=> &__missing)),
            IdsForm::Vec => bind(taken, name, &quote_spanned!(here()=> __missing)),
            IdsForm::Owned => bind(taken, name, &made),
            IdsForm::Reference => {
                let reference = bind(taken, name, &quote_spanned!(here()=> &__lent));
                quote_spanned!(here()=> let __lent = #made; #reference)
            }
        }
    }

    fn receiver_lent(&self, taken: &Taken) -> TokenStream {
        let receiver = self.function.sig.receiver();
        let (true, Some(receiver)) = (is_lent_anew(self.function), receiver) else {
            return TokenStream::new();
        };
        // In a task it has that name already.
        let name = match self.args.detach {
            Some(_) => this(),
            None => taken.name.clone(),
        };
        let value = match &receiver.kind {
            syn::ReceiverKind::Reference(_, _, Some(_)) => {
                quote_spanned!(at(taken.span)=> &mut *#name)
            }
            syn::ReceiverKind::Typed(_, ty) => match mutability(ty) {
                Some(true) => quote_spanned!(at(taken.span)=> &mut *#name),
                Some(false) => quote!(#name),
                None => self.again(taken, &name),
            },
            syn::ReceiverKind::Reference(..) => quote!(#name),
            _ => self.again(taken, &name),
        };
        bind(taken, &this(), &value)
    }

    pub(super) fn again(&self, taken: &Taken, name: &Ident) -> TokenStream {
        let private = private(self.args, at(taken.span));
        quote_spanned!(at(taken.span)=> #private::again(&#name))
    }

    /// Whether an argument is a reference by its syntax, and whether it is mutable.
    fn reference(&self, name: &Ident) -> Option<bool> {
        let inputs = self.function.params.iter().zip(&self.function.sig.inputs);
        let mut of_name = inputs.filter(|(param, _)| param.binds(name));
        match of_name.next()? {
            (param, FnArg::Typed(arg)) if matches!(param.form, Form::Named(_)) => {
                mutability(&arg.ty)
            }
            _ => None,
        }
    }

    /// The body, in which a `self` that is lent anew has another name.
    pub(super) fn as_lent(&self, body: Group) -> Group {
        if self.args.each.is_none() || !is_lent_anew(self.function) {
            return body;
        }
        let in_body = InTask {
            this: &this(),
            lifetimes: Vec::new(),
        };
        in_body.group(&body)
    }
}

/// Of a reference, whether it is mutable.
fn mutability(ty: &Type) -> Option<bool> {
    match ty {
        Type::Group(group) => mutability(&group.elem),
        Type::Paren(paren) => mutability(&paren.elem),
        Type::Reference(reference) => Some(reference.mutability.is_some()),
        _ => None,
    }
}

/// That the body shadows arguments is not the user's doing.
fn bind(taken: &Taken, name: &Ident, value: &TokenStream) -> TokenStream {
    let mutability = &taken.mutability;
    quote_spanned! {at(taken.span)=>
        #[allow(unused_variables, clippy::shadow_reuse, clippy::shadow_same, clippy::shadow_unrelated)]
        let #mutability #name = #value;
    }
}
